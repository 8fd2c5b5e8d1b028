"""What a foreign gateway rule (one that canwharf did not make) does to buses, as sentences. Pure.

Theory of operation. Each of canwharf's rules has hop limit 1. So a frame that was forwarded over a
bus is not forwarded again, by any rule: a foreign rule from a bus interface forwards only frames
that enter the bus there. A frame that a foreign rule forwards to a bus interface has had one hop:
canwharf's rules forward it to the containers only if can-gw allows a second hop (max_hops).
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.bus.report import BusReport, ForeignRule
from canwharf.kernel import gateway, uapi
from canwharf.operator.status import Status
from canwharf.record import NamedTuple


class Crossing(NamedTuple):
    """All foreign rules from one interface to another.

    `within` is the bus that both interfaces are on, or empty; `what` says what the rules do, `fix`
    is the command that deletes them.
    """

    source: str
    destination: str
    within: str
    what: str
    fix: str


def crossings(status: Status) -> Iterator[Crossing]:
    """One for each pair of interfaces, for any number of buses and kinds of frames."""
    rules_between: dict[tuple[str, str], dict[ForeignRule, None]] = {}
    within: dict[tuple[str, str], str] = {}
    for report in status.reports:
        for rule in report.foreign_rules:
            ends = rule.source, rule.destination
            rules_between.setdefault(ends, {})[rule] = None
            within.setdefault(ends, report.interface if rule.within_bus else "")
    for ends, rules in rules_between.items():
        commands = [gateway.deletion(each.entry, *ends) for each in rules]
        fix = " && ".join(commands) if all(commands) else "cangw -L"
        bus = within[ends]
        what = "" if bus else f"forwards {_forwarded(status, ends[0])}: {_receivers(status, rules)}"
        yield Crossing(*ends, bus, what, fix)


def _forwarded(status: Status, source: str) -> str:
    """The frames that a rule from this interface forwards."""
    report, name = _bus_of(status, source)
    if report is None:
        return f"what arrives on {source}"
    if name:
        return f"what {name} sends"
    wire = "the wire and " if report.physical else ""
    return f"what {wire}programs on the host send, not what containers do"


def _receivers(status: Status, rules: dict[ForeignRule, None]) -> str:
    """The receivers of the frames; all rules have the same two interfaces."""
    destination = next(iter(rules)).destination
    report, name = _bus_of(status, destination)
    if report is None:
        return f"to {destination}"
    if name:
        return f"to {name}"
    echo = any(each.entry.flags & uapi.CGW_FLAGS_CAN_ECHO for each in rules)
    again = echo and any(_hops(each, status.parameters.max_hops) > 1 for each in rules)
    receivers = ["the wire"] if report.physical else []
    receivers += ["programs on the host"] if echo else []
    receivers += ["containers"] if again else []
    if not receivers:
        return "to no program, as it does not echo (-e)"
    return f"to {' and '.join(receivers)}" + ("" if again else ", not to containers")


def _hops(rule: ForeignRule, most: int) -> int:
    """The number of hops of a frame that this rule forwards first."""
    if rule.entry.rule.limited:
        return 1
    limit = dict(rule.entry.more).get(uapi.CGW_LIM_HOPS, b"")
    return limit[0] if limit else most


def _bus_of(status: Status, interface: str) -> tuple[BusReport | None, str]:
    """The bus of an interface, and its container; empty for the host's interface."""
    for report in status.reports:
        for member in report.members:
            if member.interface == interface:
                return report, status.member(member) if member.endpoint else ""
    return None, ""
