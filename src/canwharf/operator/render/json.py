"""A status as plain values for JSON. Pure."""

from __future__ import annotations

from canwharf.bus.report import DOUBLED, BusReport, Direction, Gap, Member, is_virtual
from canwharf.kernel.link import Link
from canwharf.operator.status import Status

Value = dict[str, object]


def record(status: Status) -> Value:
    """All of it."""
    return {
        "driver": status.driver,
        "daemon": {"running": bool(status.process), "process": status.process or None},
        "docker": status.names is not None,
        "write_fault": status.write_fault or None,
        "buses": [_bus(status, report) for report in status.reports],
        "differences": list(status.changes),
        "faults": list(status.faults),
        "parameters": status.parameters._asdict(),
    }


def _bus(status: Status, report: BusReport) -> Value:
    driver, device = status.hardware.get(report.interface, ("", ""))
    return {
        "interface": report.interface,
        "adapter": report.adapter,
        "hardware": {"driver": driver, "device": device} if driver else None,
        "made_by_us": report.ours,
        "moved": report.moved,
        "link": _link(report.link),
        "networks": [{"id": each.id, "name": status.network(each.id)} for each in report.networks],
        "members": [_member(status, each) for each in report.members],
        "directions": [_direction(each) for each in report.directions],
        "whole": report.whole,
        "gaps": [_gap(each) for each in report.gaps],
        "rules_of_others": [
            {"from": each.source, "to": each.destination, "within_the_bus": each.within}
            for each in report.others
        ],
        "problem": report.problem or None,
    }


def _link(link: Link | None) -> Value | None:
    if link is None:
        return None
    told: Value = {"virtual": is_virtual(link), "up": link.up, "mtu": link.mtu, "fd": link.fd}
    if link.controller:
        controller = link.controller
        told |= {
            "bitrate": controller.bitrate or None,
            "dbitrate": controller.dbitrate or None,
            "state": controller.state_name,
            "errors": dict(zip(("sending", "receiving"), controller.errors, strict=False)),
            "statistics": controller.statistics._asdict(),
        }
    return told


def _member(status: Status, member: Member) -> Value:
    return {
        "name": status.member(member),
        "interface": member.interface,
        "present": member.link is not None,
        "up": member.link.up if member.link else None,
        "network": member.network or None,
        "endpoint": member.endpoint or None,
        "inside": member.inside.name if member.inside else None,
        "fault": member.fault or None,
        "gone": member.gone,
        "sent": member.frames.sent,
        "received": member.frames.received,
        "dropped": member.frames.dropped,
    }


def _direction(direction: Direction) -> Value:
    return {
        "from": direction.source,
        "to": direction.destination,
        "rules": dict(direction.kinds),
        "forwarded": direction.handled,
        "dropped": direction.dropped,
    }


def _gap(gap: Gap) -> Value:
    told = "more than once" if gap.reason == DOUBLED else "not at all"
    ends = {"from": gap.source, "to": gap.destination}
    return {**ends, "frames": gap.kind, "heard": told, "reason": gap.reason}
