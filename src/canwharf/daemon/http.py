"""HTTP as Docker uses it with a driver: bytes -> a request's head, an answer -> bytes. Pure.

Every call is a POST with a Content-Length; nothing else is read here, but for the GET of a request
for metrics. No HTTP library is used, because the daemon's start takes milliseconds: a library's
import alone costs as much as the rest of the daemon (docs/dependencies.md).

Rules:

- A head that is not exactly a request's is refused. So is one with a repeated header that decides
  how to read the request (`_ONCE`), or with a control character (a bare CR or LF, a NUL).
- A head has at most HEAD_LIMIT bytes.

Source: RFC 9112 (HTTP/1.1), sections 2.2, 3, 5, 6 and 9; RFC 9110, section 5.5 (field values).
"""

from __future__ import annotations

from canwharf.errors import HttpError
from canwharf.record import NamedTuple

HEAD_LIMIT = 16 * 1024  # bytes
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_END = b"\r\n\r\n"
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ONCE = frozenset({"content-length", "content-type", "expect", "host", "transfer-encoding"})
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    428: "Precondition Required",
    500: "Internal Server Error",
}


class Head(NamedTuple):
    """A request line and the headers that are used here.

    `size` is the length of the head in bytes, `length` that of the body after it. `keep` says that
    the client will use the connection again, `waits` that it sends the body only after a 100.
    """

    method: str
    target: str
    size: int
    length: int
    keep: bool
    waits: bool


def read_head(data: bytes) -> Head | None:
    """The head of the request that `data` begins with; None while it is not complete.

    Raises HttpError.
    """
    size = data.find(_END, 0, HEAD_LIMIT)
    if size < 0:
        if len(data) >= HEAD_LIMIT:
            raise HttpError(400, f"not an HTTP request: no end of its head in {HEAD_LIMIT} bytes")
        if data.count(b"\n") > data.count(b"\r\n"):  # its end may never come
            raise HttpError(400, "not an HTTP request: its lines should end in CR and LF")
        return None
    first, *lines = _text(data[:size]).split("\r\n")
    method, target, version = _first(first)
    headers = _headers(lines)
    if version == "HTTP/1.1" and "host" not in headers:
        raise HttpError(400, "not an HTTP request: the header Host is missing")
    if "transfer-encoding" in headers:
        raise HttpError(411, "a request needs a Content-Length: bodies in chunks are not read")
    connection = {word.strip(" \t") for word in headers.get("connection", "").lower().split(",")}
    keep = version == "HTTP/1.1" and "close" not in connection
    return Head(
        method,
        target,
        size + len(_END),
        _length(headers.get("content-length", "0")),
        keep,
        headers.get("expect", "").lower() == "100-continue",
    )


def answer(
    status: int, body: bytes, content_type: str, *, keep: bool = True, silent: bool = False
) -> bytes:
    """An answer; without its body if it is `silent` (the answer to a HEAD)."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    if not keep:
        head += "Connection: close\r\n"
    return head.encode() + b"\r\n" + (b"" if silent else body)


def _text(data: bytes) -> str:
    """The head as text: printable ASCII, tabs, and line ends. Raises HttpError."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise HttpError(400, f"not an HTTP request: {error}") from error
    within = text.replace("\r\n", "").replace("\t", " ")
    if not within.isprintable():
        first = next(each for each in within if not each.isprintable())
        raise HttpError(400, f"not an HTTP request: {first!r} stands in its head")
    return text


def _first(line: str) -> tuple[str, str, str]:
    match line.split(" "):
        case [method, target, "HTTP/1.1" | "HTTP/1.0" as version]:
            if target and "\t" not in target and _TOKEN.issuperset(method or " "):
                return method, target, version
    raise HttpError(400, f"not an HTTP request: it begins with {line[:60]!r}")


def _headers(lines: list[str]) -> dict[str, str]:
    """The headers, by their names in lower case; repeated ones joined. Raises HttpError."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if not colon or not _TOKEN.issuperset(name or " "):
            raise HttpError(400, f"not an HTTP request: {line[:60]!r} is not a header")
        if name in headers and name in _ONCE:
            raise HttpError(400, f"not an HTTP request: the header {name} stands twice")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _length(value: str) -> int:
    if not value.isdigit() or len(value) > 18:
        raise HttpError(400, f"not an HTTP request: its Content-Length is {value[:60]!r}")
    return int(value)
