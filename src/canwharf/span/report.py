"""What a host tells the others of itself and of what it hears: value <-> JSON. Pure.

It is the answer to a query at `canwharf/1/SPAN/HOST/state`, which access control binds to the host.

Rules:

- What is read comes from another host: each field has to be of its form, and the whole is limited.
- Hosts are upgraded one by one. A field that is not known is left out, as a later canwharf has
  more of them. One that is missing has its default, but for those without which nothing can be
  said. So a new field is no new VERSION: of that, older hosts would read nothing.
- Counts are of frames, times in nanoseconds.
- `clock` and `uptime` stand first: they are of the moment of the answer, the rest is a second old.
- What is heard of each host is a list, as that of HOSTS hosts has to fit into one message.
"""

from __future__ import annotations

import json

from canwharf import jsontext
from canwharf.errors import SpanError
from canwharf.record import NamedTuple
from canwharf.span import form

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
HOSTS = 256  # of which a bridge keeps count
LARGEST = 48 << 10  # bytes; zenoh takes 64 KB


class Heard(NamedTuple):
    """What is heard of a host: frames that came, were lost or too old; the last message's age."""

    received: int
    lost: int
    stale: int
    silence: int | None


class Report(NamedTuple):
    """A host: its canwharf, the version of its messages, its bus's interface, what it hears.

    `kind` is virtual, adapter or, where the interface is missing, empty. Bit rates are 0 where
    there are none. `certificate` is when its certificate ends, in seconds since 1970; None: not
    known. `twin`: another host has its name. `apart`: the host with whose adapter its own hangs on
    one wire, so that its bus is kept apart. `clock` and `uptime` are when it answered.
    """

    canwharf: str
    message: int
    kind: str = ""
    bitrate: int = 0
    dbitrate: int = 0
    fd: bool = False
    certificate: int | None = None
    twin: bool = False
    hears: Mapping[str, Heard] = {}
    clock: int = 0
    uptime: int = 0
    apart: str = ""


def fields(report: Report) -> dict[str, object]:
    """Its members in JSON."""
    return {"version": VERSION, **report._asdict()}


def encode(report: Report) -> bytes:
    """Its JSON, for `answer`."""
    members = fields(report)
    del members["clock"], members["uptime"]
    return json.dumps(members).encode()


def answer(encoded: bytes, clock: int, uptime: int) -> bytes:
    """The same at this moment."""
    return b'{"clock": %d, "uptime": %d, ' % (clock, uptime) + encoded[1:]


def decode(text: bytes) -> Report:
    """What was answered. Raises SpanError."""
    if len(text) > LARGEST:
        raise SpanError(f"an answer of {len(text)} bytes")
    try:
        return parse(jsontext.loads_object(text, "a report"))
    except (ValueError, KeyError, RecursionError) as error:
        raise SpanError(f"an answer that is none: {error!r}") from error


def parse(members: Mapping[str, object]) -> Report:
    """A report from its members. Raises ValueError, KeyError."""
    if members["version"] != VERSION:
        raise ValueError("it is of another version")
    hears = form.members(members["hears"], HOSTS)
    return Report(
        form.word(members["canwharf"]),
        form.number(members["message"]),
        form.word(members.get("kind", "")),
        form.number(members.get("bitrate", 0)),
        form.number(members.get("dbitrate", 0)),
        members.get("fd") is True,
        form.number_or_none(members.get("certificate")),
        members.get("twin") is True,
        {form.name(host): _heard(form.items(heard, 4)) for host, heard in hears.items()},
        form.number(members["clock"]),
        form.number(members.get("uptime", 0)),
        form.name(apart) if (apart := members.get("apart")) else "",
    )


def _heard(numbers: list[object]) -> Heard:
    *counts, silence = numbers
    received, lost, stale = map(form.number, counts)
    return Heard(received, lost, stale, form.number_or_none(silence))
