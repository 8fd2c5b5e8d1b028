"""The doctor's checks of buses and their members: each a function of the facts. Pure.

Rule: if the state cannot be read, there is no finding.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from canwharf.bus import describe, naming
from canwharf.bus.delivery import DOWN, NO_CARRIER, NO_HUB, NO_IFB, OWN_FRAMES, Member, multiplies
from canwharf.bus.model import CLOSED, OPEN
from canwharf.bus.policy import NO_LIMIT
from canwharf.bus.report import BusReport
from canwharf.bus.steps import DeleteLink, DeleteRule
from canwharf.kernel import needed
from canwharf.operator import foreign
from canwharf.operator.doctor.facts import Facts
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding
from canwharf.operator.render.layout import error_problem, member_problem

_AT_ONCE = 10  # frames: an adapter delivers as many, and cyclic messages may be due together
_ROOM = 100  # frames of a queue that is set: it costs memory only while it is used
_SYSCTL = "/etc/sysctl.d/90-can.conf"


def buses(facts: Facts) -> Iterator[Finding]:
    """The condition of each bus interface."""
    if facts.status is None:
        return
    for report in facts.status.reports:
        yield _bus(report, facts.status.unused)


def _bus(report: BusReport, unused: Sequence[str]) -> Finding:
    name, link = report.interface, report.link
    if link is None:
        return _missing(report)
    if not link.up and not report.owned and not report.moved:
        what = f"{name} is down: no frame is sent or received there"
        return Finding(FAILURE, what, f"ip link set {name} up{_rate(report)}")
    off = link.controller is not None and link.controller.state_name == "BUS-OFF"
    if off or (link.up and not link.carrier):  # one that is down has none
        why = "has no carrier: no frame is sent or received there"
        why = "is BUS-OFF: it stopped after too many errors on the wire" if off else why
        # Not `type can restart`: the kernel refuses that under restart-ms, and serial adapters do.
        restart = f"ip link set {name} down && ip link set {name} up"
        return Finding(FAILURE, f"{name} {why}", restart)
    if report.warning:
        return Finding(WARN, f"{name}: {report.warning}")
    if unused and report.owned and naming.is_hardware_like(name):
        adapters = f"adapter{'s' if len(unused) > 1 else ''} {', '.join(unused)}"
        verb = "are" if len(unused) > 1 else "is"
        what = f"{name} is a vcan that canwharf made; the {adapters} {verb} on no bus: "
        what += f"create the network again, with can.interface={unused[0]}, or with "
        return Finding(WARN, f"{what}can.type=physical if the adapter should be {name}")
    return Finding(OK, f"{name} is {'up' if link.up else 'present'}")


def shape(facts: Facts) -> Iterator[Finding]:
    """Whether containers are connected by a hub, why not, and what fails of it."""
    if facts.status is None:
        return
    reports = [each for each in facts.status.reports if not each.moved]
    meshes = [each.interface for each in reports if not each.linear]
    states = needed.for_linear(facts.modules)
    if lacking := needed.lacking(facts.modules):
        names = ", ".join(lacking)
        what = f"the kernel lacks {names}: each container has rules with each other, which is "
        what += "right, but costs more on a bus of many containers"
        yield Finding(WARN, what, facts.advice.get(lacking[0], "a kernel that has it"))
    elif meshes:
        what = f"each container has rules with each other on {', '.join(meshes)}: the kernel "
        what += "refused the tc filters of a hub"
        wanted = " ".join(states or needed.LINEAR)
        yield Finding(WARN, what, f"modprobe -a {wanted}", safe=True)
    else:
        yield Finding(OK, "containers are connected by one hub for each bus")
    for report in reports:
        labels = facts.status.labels(report)
        for error in report.delivery_errors:
            if error.reason in (NO_HUB, OWN_FRAMES):
                what = f"on {report.interface}, {error_problem(error, labels)}"
                yield Finding(FAILURE, what, facts.canwharf("sync"), safe=True)


def policies(facts: Facts) -> Iterator[Finding]:
    """Whether the kernel has what can.send, can.receive and can.rate need."""
    if facts.status is None:
        return
    networks = [each for report in facts.status.reports for each in report.networks]
    used = [each.settings.policy or CLOSED for each in networks]
    used += [each.policy for report in facts.status.reports for each in report.members]
    limited = any(each.rate not in ("", NO_LIMIT) for each in used)
    in_use = any(each != OPEN for each in used)
    lacking = needed.lacking_for_policies(facts.modules, rate=limited or not in_use)
    options = "can.rate" if lacking == ("act_police",) else "can.send, can.receive or can.rate"
    names = ", ".join(lacking)
    if not lacking:
        yield Finding(OK, f"the kernel has what {options} needs")
    elif not in_use:
        yield Finding(OK, f"nothing uses {options}: the kernel would need {names} for it")
    else:
        what = f"the kernel lacks {names}: a container with {options} does not start"
        yield Finding(FAILURE, what, facts.advice.get(lacking[0], "a kernel that has it"))


def trouble(facts: Facts) -> Iterator[Finding]:
    """Whether the kernel can do what a network may ask for on purpose, and whether that works."""
    reports = facts.status.reports if facts.status else ()
    wanted = (*needed.IMPAIRMENT, *needed.INJECTION)
    lacking = [each for each in wanted if facts.modules.get(each) == needed.MISSING]
    if lacking:
        what = f"the kernel lacks {', '.join(lacking)}: a network with can.delay, can.loss, "
        yield Finding(OK, f"{what}can.duplicate or can.bandwidth, or a fault, may be refused")
    else:
        yield Finding(OK, "this kernel can do trouble on purpose (can.delay, faults and the like)")
    for report in reports:
        if any(error.reason == NO_IFB for error in report.delivery_errors):
            what = f"on {report.interface}, what containers send is lost: the ifb for trouble on "
            yield Finding(FAILURE, f"{what}purpose is gone", facts.canwharf("sync"), safe=True)


def queue(facts: Facts) -> Iterator[Finding]:
    """Whether the kernel's queue of received packets takes the copies of frames."""
    if facts.status is None or not facts.backlog:
        return
    reports = facts.status.reports
    copies = {each.interface: sum(bool(one.endpoint) for one in each.members) for each in reports}
    long = {name: count for name, count in copies.items() if count * _AT_ONCE > facts.backlog}
    takes = f"the kernel's queue (net.core.netdev_max_backlog) takes {facts.backlog} packets"
    if not long:
        yield Finding(OK, takes)
        return
    shown = ", ".join(f"{count} on {name}" for name, count in long.items())
    what = f"{takes}, and a frame is one for each container ({shown}): of frames that come at the "
    what += "same moment, some may be lost"
    setting = f"net.core.netdev_max_backlog={max(long.values()) * _ROOM}"
    yield Finding(WARN, what, f"echo {setting} >{_SYSCTL} && sysctl -p {_SYSCTL}")


def members(facts: Facts) -> Iterator[Finding]:
    """The containers that are not connected."""
    for report in facts.status.reports if facts.status else ():
        faulty = [each for each in report.members if each.reason and each.endpoint]
        for member in faulty:
            yield _member(facts, report, member)
        if report.healthy:
            yield Finding(OK, f"all members of {report.interface} are connected")


def _member(facts: Facts, report: BusReport, member: Member) -> Finding:
    """A container that is not connected, and the command that connects it again."""
    label = facts.status.member(member) if facts.status else ""
    what = f"on {report.interface}, {member_problem(member, label)}"
    if member.reason == DOWN:
        return Finding(FAILURE, what, facts.canwharf("sync"), safe=True)
    names = facts.status and facts.status.names
    if not names or member.endpoint not in names.containers:
        return Finding(FAILURE, f"{what}; restart the container")
    if member.reason == NO_CARRIER and member.container_link:
        sandbox = f"$(docker inspect -f '{{{{.NetworkSettings.SandboxKey}}}}' {label})"
        name = shlex.quote(member.container_link.name)
        return Finding(FAILURE, what, f"nsenter --net={sandbox} ip link set {name} up")
    return Finding(FAILURE, what, f"docker restart {label}")


def _rate(report: BusReport) -> str:
    """The words that set the bit rate of an adapter that has none yet."""
    controller = report.link.controller if report.link else None
    if controller is None or controller.bitrate:
        return ""
    rates = (each.settings.adapter.options.get("can.bitrate") for each in report.networks)
    return f" type can bitrate {next(filter(None, rates), 'RATE')}"


def _missing(report: BusReport) -> Finding:
    name = report.interface
    if report.moved and any(each.endpoint for each in report.members):
        return Finding(OK, f"{name} is in its container")
    if report.physical:
        return Finding(WARN, f"{name}: {report.warning or 'the adapter is missing'}")
    return Finding(OK, f"{name} does not exist (see differences)")


def differences(facts: Facts) -> Iterator[Finding]:
    """What else `sync` would change."""
    if facts.status is None:
        return
    hops = facts.status.parameters.max_hops
    others = [
        each
        for each in facts.status.steps
        if not (isinstance(each, DeleteLink) or multiplies(each, hops))
    ]
    told = [each.line for each in describe.changes(facts.status.adopted, others)]
    told += facts.status.faults
    if told:
        more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
        what = f"differs from what should be: {told[0]}{more}"
        yield Finding(FAILURE, what, facts.canwharf("sync"), safe=True)
    else:
        yield Finding(OK, "all is as it should be")


def duplicates(facts: Facts) -> Iterator[Finding]:
    """Rules of ours by which frames arrive more than once."""
    if facts.status is None:
        return
    hops = facts.status.parameters.max_hops
    many = [each for each in facts.status.steps if multiplies(each, hops)]
    surplus = [each for each in many if isinstance(each, DeleteRule)]
    old = len(many) - len(surplus)
    if old:
        what = f"frames arrive more than once: can-gw was loaded with max_hops={hops}, "
        what += f"and {old} rules of an earlier version have no hop limit"
        yield Finding(FAILURE, what, facts.canwharf("sync"), safe=True)
    if surplus:
        first = f"{surplus[0].source} -> {surplus[0].destination}"
        what = f"frames arrive more than once, by duplicate rules ({len(surplus)}): {first}"
        yield Finding(FAILURE, what, facts.canwharf("sync"), safe=True)
    if not (old or surplus):
        yield Finding(OK, "canwharf has no duplicate rules")


def foreign_rules(facts: Facts) -> Iterator[Finding]:
    """Rules of others at our interfaces, and what they forward."""
    if facts.status is None:
        return
    others = list(foreign.crossings(facts.status))
    for each in others:
        ends = f"{each.source} -> {each.destination}"
        if each.within:
            what = f"a foreign gateway rule duplicates frames on {each.within}: {ends}"
            yield Finding(FAILURE, what, each.fix)
        else:
            what = f"a foreign gateway rule, {ends}, {each.what}"
            yield Finding(WARN, what, each.fix)
    if not others:
        yield Finding(OK, "no foreign rules at canwharf's interfaces")


def orphans(facts: Facts) -> Iterator[Finding]:
    """Interfaces of ours that belong to no network."""
    if facts.status is None:
        return
    found = [each.link.name for each in facts.status.steps if isinstance(each, DeleteLink)]
    for name in found:
        what = f"{name} was made by canwharf and belongs to no network"
        yield Finding(FAILURE, what, facts.canwharf("sync"), safe=True)
    if not found:
        yield Finding(OK, "each interface of canwharf belongs to a network")


def networks(facts: Facts) -> Iterator[Finding]:
    """Networks that Docker does not know."""
    if facts.status is None or facts.status.names is None:
        return
    for network, interface in facts.unknown_networks.items():
        what = f"Docker does not know the network {network[:12]} on {interface}"
        yield Finding(WARN, what, facts.canwharf(f"doctor --forget {network}"))
    if not facts.unknown_networks:
        yield Finding(OK, "Docker knows all networks of this driver")


def containers(facts: Facts) -> Iterator[Finding]:
    """Containers that Docker could not start."""
    if facts.status is None or facts.status.names is None:
        return
    if facts.stranded:
        names = " ".join(map(shlex.quote, facts.stranded))
        reason = next(iter(facts.stranded.values()))
        what = f"should run, but Docker could not start: {names} ({reason})"
        yield Finding(FAILURE, what, f"docker start {names}", safe=True)
    else:
        yield Finding(OK, "Docker could start all containers")
