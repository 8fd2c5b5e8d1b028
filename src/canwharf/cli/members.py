"""A container on a bus, as a command line names it. Pure."""

from __future__ import annotations

from canwharf.bus.delivery import Member
from canwharf.bus.report import BusReport
from canwharf.errors import CanwharfError
from canwharf.operator.status import Status


def find(status: Status, bus: str, container: str) -> tuple[BusReport, Member]:
    """The container on the bus that is left in this status; `bus` is what the user calls it.

    Raises CanwharfError.
    """
    found = [
        (report, member)
        for report in status.reports
        for member in report.members
        if member.endpoint and container in (status.member(member), member.endpoint)
    ]
    if not found:
        there = [status.member(e) for r in status.reports for e in r.members if e.endpoint]
        where, names = status.reports[0].interface, ", ".join(there) or "none"
        host, slash, _name = container.partition("/")
        hint = f"; what is on the host {host} is set there" if slash else ""
        raise CanwharfError(
            f"there is no container {container} on the bus {where}; there: {names}{hint}"
        )
    if len(found) > 1:  # by several networks: one of them may have been named
        where = ", ".join(status.network(each.network) for _report, each in found)
        found = [
            (report, each)
            for report, each in found
            if bus in (each.network, status.network(each.network))
        ]
        if len(found) != 1:
            raise CanwharfError(
                f"{container} is on the bus more than once: give one of its networks in place of "
                f"the bus ({where})"
            )
    return found[0]
