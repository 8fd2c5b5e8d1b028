"""The span of a bus: which buses of other hosts it is one with. Pure.

Rules:

- A name is one for all hosts, and part of a key there: lower-case letters, digits and hyphens.
- What is older than `max_age` when it arrives is not put on the bus; off: however old it is.
- The networks of a bus agree, or say nothing. A bus whose adapter moves into its container has no
  span, as nothing of it is on the host.
- The daemon itself connects no hosts: `canwharf span` does, which has no rights. `published` is
  what it has to know.
"""

from __future__ import annotations

from canwharf.bus import values
from canwharf.bus.model import Bus, Settings, State
from canwharf.bus.naming import NO_SPAN, Span
from canwharf.errors import OptionError

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME, MAX_AGE = OPTIONS = ("can.span", "can.span.max_age")
VERSION = 1  # of what is published
LOCK = "canwharf-span/"  # and the interface: the name of an abstract socket of what connects it

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST = 63


def is_name(name: str) -> bool:
    """Whether a span can be called so, or a host in it: a label of a host name (RFC 1123)."""
    return (
        0 < len(name) <= _LONGEST and _LETTERS.issuperset(name) and "-" not in (name[0], name[-1])
    )


def parse(given: Mapping[str, str]) -> Span:
    """The span that these options say. Raises OptionError."""
    name, age = given.get(NAME), given.get(MAX_AGE)
    if name is None:
        if age is not None:
            raise OptionError(MAX_AGE, age, f"it needs {NAME} too, the name of the span")
        return NO_SPAN
    if not is_name(name):
        reason = (
            "must be a name that is the same on all hosts: up to 63 lower-case letters, digits "
            "and - between them, like bench7"
        )
        raise OptionError(NAME, name, reason)
    if age is None:
        return Span(name)
    return Span(name, values.number(MAX_AGE, age, values.MILLISECONDS))


def texts(span: Span) -> dict[str, str]:
    """Its options with their canonical texts."""
    if span == NO_SPAN:
        return {}
    age = {} if span == Span(span.name) else {MAX_AGE: f"{span.max_age}ms"}
    return {NAME: span.name, **age}


def check(settings: Settings, bus: Bus | None) -> None:
    """Refuse what the adapter, or another network of the bus, rules out. Raises OptionError."""
    span = settings.span
    if settings.adapter.moved:
        reason = "with can.mode=move the adapter is in its container, and nothing of it on the host"
        raise OptionError(NAME, span.name, reason)
    if bus and bus.span not in (NO_SPAN, span):
        told = " ".join(f"{option}={text}" for option, text in texts(bus.span).items())
        reason = f"another network on {settings.interface} asks for {told}; say the same"
        raise OptionError(NAME, span.name, f"{reason}, or nothing")


def published(state: State) -> dict[str, object]:
    """What `canwharf span` has to know: the buses with a span, by their interface; times in ms."""
    buses = {}
    for interface in state.interfaces():
        bus = state.bus(interface)
        if bus and bus.span != NO_SPAN:
            buses[interface] = dict(bus.span._asdict())
    return {"version": VERSION, "driver": state.driver, "buses": buses}
