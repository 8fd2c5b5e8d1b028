"""What a bridge tells a local program of itself and of the other hosts: value <-> JSON. Pure.

Rules:

- What is read may come from any local process: each field has to be of its form, and the whole is
  limited.
- The service may be older or newer than the program that asks, as an upgrade need not restart it. A
  field that is not known is left out. One that the first services did not have, or that is of
  another host, may be missing, and has its default then.
- Counts are of frames. Times are in nanoseconds.
"""

from __future__ import annotations

import json

from canwharf import jsontext
from canwharf.errors import SpanError
from canwharf.record import NamedTuple
from canwharf.span import form, report
from canwharf.span.report import HOSTS, Heard, Report

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
LARGEST = 1 << 19  # bytes of a state

_KINDS = 32  # of counts
_MEMBERS = 32  # of a host
_WORDS = 200  # of an error, characters
_KIND = frozenset("abcdefghijklmnopqrstuvwxyz_")


class Told(NamedTuple):
    """What a host answered `age` ago: how far its clock is before ours, and its report.

    Of what it hears, there is only what it hears of this host; nothing, if it does not.
    """

    round_trip: int
    difference: int
    age: int
    report: Report

    def heard(self, host: str) -> Heard | None:
        """What it hears of this host."""
        return self.report.hears.get(host)


class Host(NamedTuple):
    """Another host: the frames of it that came, and how many were lost, repeated or too old.

    `there`: its token of presence is seen. `linked`: it is connected with a certificate of the
    authority and let in, whether or not it lets this host in; not said of a relay. `age` is of its
    last frame, `silence` since its last message, which comes without frames, too; None: there was
    none. `foreign` counts messages of another host of its name. `told`: None if it did not answer
    lately.
    """

    there: bool = False
    linked: bool = False
    received: int = 0
    lost: int = 0
    repeated: int = 0
    stale: int = 0
    foreign: int = 0
    age: int | None = None
    silence: int | None = None
    told: Told | None = None


class State(NamedTuple):
    """A bridge: this host's name, the span, the bus's interface; its counts in sum, and hosts.

    `own` is what it tells the other hosts, but for what it hears of them. `rival` is the number of
    a second process on this host that would connect the bus; 0: one in a container; None: none.
    `nameless`: why it does not know what Docker's containers are called, for other hosts.
    """

    host: str
    span: str
    interface: str
    own: Report
    counts: Mapping[str, int]
    hosts: Mapping[str, Host]
    rival: int | None = None
    nameless: str = ""


def encode(state: State) -> bytes:
    """Its JSON."""
    hosts = {name: _fields(host) for name, host in state.hosts.items()}
    own = report.fields(state.own)
    return json.dumps({"version": VERSION, **state._asdict(), "own": own, "hosts": hosts}).encode()


def _fields(host: Host) -> dict[str, object]:
    fields = host._asdict()
    if told := host.told:
        fields["told"] = {**told._asdict(), "report": report.fields(told.report)}
    return fields


def decode(text: bytes) -> State:
    """What was encoded. Raises SpanError."""
    try:
        fields = jsontext.loads_object(text, "a state")
        if isinstance(reason := fields.get("error"), str):
            raise SpanError(f"'canwharf span' refuses to answer: {reason[:_WORDS]}")
        return _state(fields)
    except (ValueError, KeyError, RecursionError) as error:
        raise SpanError(f"what came is not the state of a bridge: {error!r}") from error


def _state(fields: Mapping[str, object]) -> State:
    """Raises ValueError, KeyError."""
    if fields["version"] != VERSION:
        raise ValueError("it is of another version")
    counts = form.members(fields["counts"], _KINDS)
    hosts = form.members(fields["hosts"], HOSTS)
    if not _KIND.issuperset("".join(counts)):
        raise ValueError("a name of a count")
    return State(
        form.name(fields["host"]),
        form.name(fields["span"]),
        form.interface(fields["interface"]),
        report.parse(form.members(fields["own"], _MEMBERS)),
        {kind: form.number(value) for kind, value in counts.items()},
        {form.name(name): _host(form.members(value, _MEMBERS)) for name, value in hosts.items()},
        form.number_or_none(fields.get("rival")),
        form.word(fields.get("nameless", ""), _WORDS),
    )


def _host(fields: Mapping[str, object]) -> Host:
    told = fields.get("told")
    return Host(
        there=fields.get("there") is True,
        linked=fields.get("linked") is True,
        received=form.number(fields.get("received", 0)),
        lost=form.number(fields.get("lost", 0)),
        repeated=form.number(fields.get("repeated", 0)),
        stale=form.number(fields.get("stale", 0)),
        foreign=form.number(fields.get("foreign", 0)),
        age=form.number_or_none(fields.get("age")),
        silence=form.number_or_none(fields.get("silence")),
        told=None if told is None else _told(form.members(told, _MEMBERS)),
    )


def _told(fields: Mapping[str, object]) -> Told:
    return Told(
        form.number(fields["round_trip"]),
        form.difference(fields["difference"]),
        form.number(fields["age"]),
        report.parse(form.members(fields["report"], _MEMBERS)),
    )
