"""What a gateway rule of somebody else does to buses, in words. Pure.

Theory of operation. Every rule of ours has hop limit 1, so a frame that came over a bus is not
forwarded again from the bus's interface, by nobody's rule: from there a rule of somebody else takes
only what enters the bus there. Towards a bus interface, what it forwards has had a hop: rules of
ours take it on to the containers only where can-gw allows a second one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from canwharf.bus.report import BusReport, Foreign
from canwharf.kernel import gateway, uapi
from canwharf.operator.status import Status


class Crossing(NamedTuple):
    """All rules of somebody else from one interface to another, as one thing.

    `within` names the bus on which both are, `what` says what the rules do, `fix` is the command
    that deletes them.
    """

    source: str
    destination: str
    within: str
    what: str
    fix: str


def crossings(status: Status) -> Iterator[Crossing]:
    """Each once, however many buses and kinds of frames it concerns."""
    found: dict[tuple[str, str], dict[Foreign, None]] = {}
    within: dict[tuple[str, str], str] = {}
    for report in status.reports:
        for rule in report.others:
            ends = rule.source, rule.destination
            found.setdefault(ends, {})[rule] = None
            within.setdefault(ends, report.interface if rule.within else "")
    for ends, rules in found.items():
        commands = [gateway.deletion(each.entry, *ends) for each in rules]
        fix = " && ".join(commands) if all(commands) else "cangw -L"
        bus = within[ends]
        what = "" if bus else f"forwards {_taken(status, ends[0])}: {_given(status, rules)}"
        yield Crossing(*ends, bus, what, fix)


def _taken(status: Status, source: str) -> str:
    """What a rule from this interface gets to see."""
    report, name = _place(status, source)
    if report is None:
        return f"what arrives on {source}"
    if name:
        return f"what {name} sends"
    wire = "the wire and " if report.adapter else ""
    return f"what {wire}programs on the host send, not what containers do"


def _given(status: Status, rules: dict[Foreign, None]) -> str:
    """Who gets what the rules forward; they have both ends in common."""
    destination = next(iter(rules)).destination
    report, name = _place(status, destination)
    if report is None:
        return f"to {destination}"
    if name:
        return f"to {name}"
    echo = any(each.entry.flags & uapi.CGW_FLAGS_CAN_ECHO for each in rules)
    again = echo and any(_hops(each, status.parameters.max_hops) > 1 for each in rules)
    receivers = ["the wire"] if report.adapter else []
    receivers += ["programs on the host"] if echo else []
    receivers += ["containers"] if again else []
    if not receivers:
        return "to nobody, as it does not echo (-e)"
    return f"to {' and '.join(receivers)}" + ("" if again else ", not to containers")


def _hops(rule: Foreign, most: int) -> int:
    """How often a frame may be forwarded that this rule forwards first."""
    if rule.entry.rule.limited:
        return 1
    limit = dict(rule.entry.more).get(uapi.CGW_LIM_HOPS, b"")
    return limit[0] if limit else most


def _place(status: Status, interface: str) -> tuple[BusReport | None, str]:
    """The bus that an interface is on, and the container whose it is; empty for the host's."""
    for report in status.reports:
        for member in report.members:
            if member.interface == interface:
                return report, status.member(member) if member.endpoint else ""
    return None, ""
