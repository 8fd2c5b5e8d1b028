"""What a host needs to join others, as one file: JSON. Pure.

    {"version": 1, "host": "bench-2", "listen": […], "connect": ["tls/192.0.2.1:7447"],
     "hosts": ["bench-1"], "relay": "", "ca": "-----BEGIN…", "certificate": "-----BEGIN…",
     "key": "-----BEGIN…"}

It has the host's private key: what is to be carried to a host is one thing, and one command there.
"""

from __future__ import annotations

import json
from typing import Any

from canwharf.errors import SpanError
from canwharf.record import NamedTuple

VERSION = 1
_LISTS = ("listen", "connect", "hosts")


class Invitation(NamedTuple):
    """A host's name, where it listens and connects, whom it knows, and its certificates (PEM).

    `relay` is the host that passes on what others send; mostly there is none.
    """

    host: str
    listen: tuple[str, ...]
    connect: tuple[str, ...]
    hosts: tuple[str, ...]
    relay: str
    ca: str
    certificate: str
    key: str


def encode(invitation: Invitation) -> bytes:
    """The text of the file."""
    return json.dumps({"version": VERSION, **invitation._asdict()}, indent=1).encode() + b"\n"


def decode(content: bytes) -> Invitation:
    """Raises SpanError for what is not one, or is of another version."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SpanError(f"this is no invitation of a host: {error}") from error
    if not isinstance(fields, dict) or "version" not in fields:
        raise SpanError("this is no invitation of a host, but something else")
    if fields.pop("version") != VERSION:
        raise SpanError("this is no invitation of this version of canwharf")
    if other := fields.keys() ^ {*Invitation._fields}:  # what is left out might shut a host out
        words = f"{min(other)} is {'not expected' if min(other) in fields else 'missing'}"
        raise SpanError(f"this invitation is of another version of canwharf, or changed: {words}")
    if not all(map(_fits, fields.items())):
        raise SpanError("this is no invitation of a host: it was changed")
    return Invitation(**{name: _value(value) for name, value in fields.items()})


def _fits(field: tuple[str, object]) -> bool:
    name, value = field
    if name not in _LISTS:
        return isinstance(value, str) and value.isascii()
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _value(value: Any) -> Any:  # noqa: ANN401
    return tuple(value) if isinstance(value, list) else value
