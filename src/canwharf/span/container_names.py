"""What Docker calls the containers on buses with a span: told to the service, which may not ask it.

Theory of operation. A user who may ask Docker may do all that root can, so the service's user may
not. systemd holds a socket for it, and starts for each connection `canwharf names`, as root and
without a capability. That reads nothing, writes one answer, and ends. The answer is an object of
JSON with the names by endpoint, only of buses that the service sends frames of.

Rules:

- No check of the caller's number or user decides who is told: both are used again by others. The
  socket is in a directory that only root may enter, and the service has it in its own mount
  namespace (BindReadOnlyPaths=, systemd.exec(5)). So nobody else can connect.
- Where there is no such socket (an image, a `canwharf span` that root started), nothing is told.
- Docker is not asked while none of its containers is there: it may not be installed, or systemd
  would start it for the question.
- What comes is checked as if it came from a stranger, within a limit of size and of time.
- The daemon has no part in it.
"""

from __future__ import annotations

import json
import socket
from time import monotonic

from canwharf import jsontext
from canwharf.bus.naming import EndpointOwner, is_implied, owner_of
from canwharf.docker import names
from canwharf.errors import SpanError
from canwharf.kernel import link
from canwharf.kernel.netlink import Netlink
from canwharf.span import form, wanted

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
MOST = 8192  # names
LARGEST = 1 << 22  # bytes of an answer
DEADLINE = 10.0  # seconds: a small board needs some to start Python, and Docker has two
_WORD = 255  # letters of a name, and of an endpoint's id
_SHARE = 1 << 16  # bytes that are read at once


def told(driver: str, spans: str) -> bytes:
    """The answer. `spans` is the file of spans. Raises CanwharfError: what cannot be read."""
    buses = wanted.read(spans, driver)
    owners = [owner_of(each) for each in link.links(Netlink())]
    endpoints = {
        each.endpoint
        for each in owners
        if isinstance(each, EndpointOwner)
        and (each.driver, each.bus in buses) == (driver, True)
        and not is_implied(each.network)
    }
    if not endpoints:
        return encode({})
    if (known := names.ask(driver)) is None:
        raise SpanError("Docker does not answer: what its containers are called is not known")
    return encode(
        {id: name for id, name in known.containers.items() if id in endpoints and _fits(name)}
    )


def _fits(name: str) -> bool:
    """Whether it can be told: one that cannot must not hide the others."""
    return 0 < len(name) <= _WORD and name.isascii() and name.isprintable()


def encode(by_endpoint: Mapping[str, str]) -> bytes:
    """The JSON of names; of more than MOST, the first."""
    some = dict(sorted(by_endpoint.items())[:MOST])
    return json.dumps({"version": VERSION, "names": some}).encode() + b"\n"


def decode(text: bytes) -> dict[str, str]:
    """What was encoded. Raises SpanError."""
    try:
        return _names(jsontext.loads_object(text, "an answer"))
    except (ValueError, KeyError, RecursionError) as error:
        raise SpanError("what came are no names of containers") from error


def _names(fields: Mapping[str, object]) -> dict[str, str]:
    """Raises ValueError, KeyError."""
    if fields["version"] != VERSION:
        raise ValueError("it is of another version")
    pairs = form.members(fields["names"], MOST).items()
    return {form.word(key, _WORD): form.word(value, _WORD) for key, value in pairs}


def ask(path: str) -> dict[str, str] | None:
    """The names by endpoint; None where nobody tells them. Raises SpanError.

    `path` is of the socket.
    """
    end = monotonic() + DEADLINE
    received = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(DEADLINE)
        try:
            asking.connect(path)
            while share := asking.recv(_SHARE):
                received += share
                if len(received) > LARGEST:
                    raise SpanError("what came is too much for names of containers")
                asking.settimeout(max(0.001, end - monotonic()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SpanError(f"{path}: {error.strerror or 'no answer in time'}") from error
    return decode(bytes(received))
