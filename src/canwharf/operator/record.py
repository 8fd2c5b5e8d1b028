"""A sight as plain values for JSON. Pure."""

from __future__ import annotations

from canwharf.bus.survey import DOUBLED, Direction, Gap, Member, Picture, is_virtual
from canwharf.kernel.link import Link
from canwharf.operator.sight import Sight

Value = dict[str, object]


def record(sight: Sight) -> Value:
    """All of it."""
    return {
        "driver": sight.driver,
        "daemon": {"running": bool(sight.process), "process": sight.process or None},
        "docker": sight.names is not None,
        "write_fault": sight.write_fault or None,
        "buses": [_bus(sight, picture) for picture in sight.pictures],
        "differences": list(sight.changes),
        "faults": list(sight.faults),
        "parameters": sight.parameters._asdict(),
    }


def _bus(sight: Sight, picture: Picture) -> Value:
    driver, device = sight.hardware.get(picture.interface, ("", ""))
    return {
        "interface": picture.interface,
        "adapter": picture.adapter,
        "hardware": {"driver": driver, "device": device} if driver else None,
        "made_by_us": picture.ours,
        "lent": picture.moved,
        "link": _link(picture.link),
        "networks": [{"id": each.id, "name": sight.network(each.id)} for each in picture.networks],
        "members": [_member(sight, each) for each in picture.members],
        "directions": [_direction(each) for each in picture.directions],
        "whole": picture.whole,
        "gaps": [_gap(each) for each in picture.gaps],
        "rules_of_others": [
            {"from": each.source, "to": each.destination, "within_the_bus": each.within}
            for each in picture.others
        ],
        "problem": picture.problem or None,
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


def _member(sight: Sight, member: Member) -> Value:
    return {
        "name": sight.member(member),
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
