"""What a bridge tells a local program of itself and of the other hosts: value <-> JSON. Pure.

Rules:

- What is read may come from any local process: each field has to be of its form, and the whole is
  limited. A field that is not known is left out, as a later service has more of them.
- Counts are of frames. Times are in nanoseconds.
"""

from __future__ import annotations

import json

from canwharf import jsontext
from canwharf.bus.naming import name_fault
from canwharf.bus.span import is_name
from canwharf.errors import SpanError
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
HOSTS = 256  # of which a bridge keeps count
LARGEST = 1 << 18  # bytes of a state

_BEYOND = 1 << 64  # no number is so large
_COUNTS = 32  # kinds of them
_WORDS = 200  # of an error, characters
_KIND = frozenset("abcdefghijklmnopqrstuvwxyz_")


class Host(NamedTuple):
    """Another host: the frames of it that came, and how many were lost, repeated or too old.

    `there`: its token of presence is seen. `age` is of its last frame, `silence` since its last
    message, which comes without frames, too; None: there was none.
    """

    there: bool = False
    received: int = 0
    lost: int = 0
    repeated: int = 0
    stale: int = 0
    age: int | None = None
    silence: int | None = None


class State(NamedTuple):
    """A bridge: this host's name, the span, the bus's interface; its counts in sum, and hosts."""

    host: str
    span: str
    interface: str
    counts: Mapping[str, int]
    hosts: Mapping[str, Host]


def encode(state: State) -> bytes:
    """Its JSON."""
    hosts = {name: host._asdict() for name, host in state.hosts.items()}
    return json.dumps({"version": VERSION, **state._asdict(), "hosts": hosts}).encode()


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
    counts = _object(fields["counts"], _COUNTS)
    hosts = _object(fields["hosts"], HOSTS)
    if not _KIND.issuperset("".join(counts)):
        raise ValueError("a name of a count")
    return State(
        _name(fields["host"]),
        _name(fields["span"]),
        _interface(fields["interface"]),
        {kind: _number(value) for kind, value in counts.items()},
        {_name(name): _host(_object(value)) for name, value in hosts.items()},
    )


def _host(fields: Mapping[str, object]) -> Host:
    return Host(
        fields["there"] is True,
        *(_number(fields[each]) for each in ("received", "lost", "repeated", "stale")),
        *(_time(fields[each]) for each in ("age", "silence")),
    )


def _object(value: object, most: int = _COUNTS) -> Mapping[str, object]:
    if not isinstance(value, dict) or len(value) > most:
        raise ValueError(f"no object of at most {most} members")
    return value


def _name(value: object) -> str:
    if not (isinstance(value, str) and is_name(value)):
        raise ValueError(f"{value!r} can be no name")
    return value


def _interface(value: object) -> str:
    if not isinstance(value, str) or name_fault(value):
        raise ValueError(f"{value!r} can be no interface")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _BEYOND:
        raise ValueError(f"{value!r} is no count")
    return value


def _time(value: object) -> int | None:
    return None if value is None else _number(value)
