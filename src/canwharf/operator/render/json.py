"""A status as plain values for JSON; docs/status.md describes each field. Pure.

Rules:

- A field that does not apply is None; it is never left out.
- Names are those of `ip -json`, Docker and the kernel; values that a program compares are
  identifiers, not sentences.
- An interface is named as on the host, except `container_interface`.
"""

from __future__ import annotations

from canwharf.bus.delivery import DUPLICATING, DeliveryError, Member
from canwharf.bus.report import BusReport, Direction, ForeignRule
from canwharf.kernel.can import Controller
from canwharf.kernel.link import Link
from canwharf.operator.render import spans
from canwharf.operator.status import Status

Value = dict[str, object]

# Frames that a rule carries, as the text output names them -> as JSON does
_FRAMES = {"classic": "classic", "FD": "fd", "error frames": "error", "all": "all"}


def to_dict(status: Status) -> Value:
    """The whole status."""
    loaded = status.parameters
    return {
        "instance": status.driver,
        "daemon": {"running": bool(status.process), "pid": status.process or None},
        "docker": {"reachable": status.names is not None},
        "state_dir": status.state_dir,
        "conflict": status.conflict or None,
        "state_write_error": status.write_fault or None,
        "module_parameters": {
            "can_gw": {"max_hops": loaded.max_hops},
            "vcan": {"echo": loaded.vcan_echo},
        },
        "buses": [_bus(status, report) for report in status.reports],
        "sync": {
            "changes": [each.line for each in status.changes],
            "errors": list(status.faults),
        },
    }


def _bus(status: Status, report: BusReport) -> Value:
    driver, device = status.hardware.get(report.interface, ("", ""))
    return {
        "interface": report.interface,
        "type": "physical" if report.physical else "virtual",
        "mode": "move" if report.moved else "share",
        "hardware": {"driver": driver, "device": device} if driver else None,
        "owned": report.owned,
        "link": _link(report.link),
        "networks": [{"id": each.id, "name": status.network(each.id)} for each in report.networks],
        "members": [_member(status, each) for each in report.members],
        "shape": None if report.moved else "linear" if report.linear else "mesh",
        "hub": dict(zip(("in", "out"), report.hub, strict=True)) if report.hub else None,
        "impairment": _impairment(report) if report.impairment.any else None,
        "span": _span(status, report) if report.span.name else None,
        "missing_modules": list(report.lacking),
        "directions": [_direction(each) for each in report.directions],
        "healthy": report.healthy,
        "delivery_errors": [_delivery_error(each) for each in report.delivery_errors],
        "foreign_rules": [_foreign_rule(each) for each in report.foreign_rules],
        "warning": report.warning or None,
    }


def _impairment(report: BusReport) -> Value:
    wanted, found = report.impairment, report.impaired
    return {
        "bandwidth": wanted.bandwidth or None,
        "delay_us": wanted.delay,
        "loss_ppm": wanted.loss,
        "duplicate_ppm": wanted.duplicate,
        "frames_lost_on_purpose": found.lost,
        "frames_over_bandwidth": found.overflowed,
    }


def _span(status: Status, report: BusReport) -> Value:
    name, max_age = report.span
    return {
        "name": name,
        "max_age_ms": max_age or None,
        "connected": report.interface in status.spanned,
        **spans.to_dict(status.spanned.get(report.interface)),
    }


def _link(link: Link | None) -> Value | None:
    if link is None:
        return None
    fields: Value = {"kind": link.kind or None, "up": link.up, "mtu": link.mtu, "fd": link.fd}
    return fields | _controller(link.controller) if link.controller else fields


def _controller(controller: Controller) -> Value:
    counters = dict(zip(("tx", "rx"), controller.errors, strict=False))
    return {
        "bitrate": controller.bitrate or None,
        "dbitrate": controller.dbitrate or None,
        "state": controller.state_name,
        "berr_counter": counters or None,
        "statistics": controller.statistics._asdict(),
    }


def _member(status: Status, member: Member) -> Value:
    return {
        "name": status.member(member),
        "interface": member.interface,
        "container_interface": member.container_link.name if member.container_link else None,
        "present": member.link is not None,
        "up": member.link.up if member.link else None,
        "network_id": member.network or None,
        "endpoint_id": member.endpoint or None,
        "connected": not (member.reason or member.orphaned),
        "reason": member.reason or None,
        "orphaned": member.orphaned,
        "frames_sent": member.frames.sent,
        "frames_received": member.frames.received,
        "frames_dropped": member.frames.dropped,
        "policy": dict(member.policy._asdict()) if member.endpoint else None,
        "faults": [
            {"number": each.number, "fault": str(each), "frames": each.frames(member.injected)}
            for each in member.faults
        ]
        if member.endpoint
        else None,
        "frames_kept_back": dict(member.firewall.kept) if member.endpoint else None,
    }


def _direction(direction: Direction) -> Value:
    return {
        "from": direction.source,
        "to": direction.destination,
        "rules": {_FRAMES[frames]: number for frames, number in direction.kinds.items()},
        "frames_forwarded": direction.handled,
        "frames_dropped": direction.dropped,
    }


def _delivery_error(error: DeliveryError) -> Value:
    return {
        "from": error.source or None,
        "to": error.destination or None,
        "frames": _FRAMES[error.kind],
        "error": "duplicated" if error.reason in DUPLICATING else "lost",
        "reason": error.reason,
    }


def _foreign_rule(rule: ForeignRule) -> Value:
    return {"from": rule.source, "to": rule.destination, "within_bus": rule.within_bus}
