"""The checks, as a table: each a function of the facts. Pure.

Rules:

- A check has a finding for each thing that it checks, also if that is all right.
- A failure stops frames or a container's start, now or after the next boot. It names the command
  that fixes it. A warning need not be fixed.
- A command is `safe` if it can do no harm in any state of the machine: --fix runs these.
- Nothing is guessed: if the state cannot be read, the checks that need it have no finding.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from canwharf.bus import describe, naming
from canwharf.bus.plan import DeleteLink, DeleteRule
from canwharf.bus.report import DOWN, NO_CARRIER, BusReport, Member, multiplies
from canwharf.kernel.needed import BUILT_IN, LOADABLE, LOADED, Parameters
from canwharf.operator import foreign
from canwharf.operator.doctor import runtimes
from canwharf.operator.doctor.facts import Facts, Unit
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Check, Finding
from canwharf.operator.render.layout import member_problem


def examine(facts: Facts) -> list[tuple[str, Finding]]:
    """All findings, each with the name of its check, in the order of the table."""
    return [(name, finding) for name, check in CHECKS.items() for finding in check(facts)]


def _privileges(facts: Facts) -> Iterator[Finding]:
    if facts.root:
        yield Finding(OK, "root")
    else:
        what = "not root: some checks need root and are left out"
        yield Finding(WARN, what, facts.sudo)


def _modules(facts: Facts) -> Iterator[Finding]:
    for module, state in facts.modules.items():
        what = f"{module} is {state}"
        if state in (LOADED, BUILT_IN):
            yield Finding(OK, what)
        elif state == LOADABLE and module == "can-gw":
            yield Finding(FAILURE, what, f"modprobe {module}", safe=True)
        elif state == LOADABLE:
            what += "; the kernel loads it when it is needed"
            yield Finding(WARN, what, f"modprobe {module}", safe=True)
        else:
            yield Finding(FAILURE, what, facts.advice.get(module, "a kernel that has it"))


def _loaded(facts: Facts) -> Iterator[Finding]:
    loaded = facts.status.parameters if facts.status else Parameters()
    for note in loaded.notes:
        yield Finding(OK, note)
    if not loaded.notes:
        yield Finding(OK, "can-gw and vcan have their usual parameters")


def _boot(facts: Facts) -> Iterator[Finding]:
    if facts.at_boot or facts.modules.get("can-gw") == BUILT_IN:
        yield Finding(OK, "can-gw is loaded at each boot")
    else:
        fix = facts.install
        if facts.units is None:
            fix = "echo can-gw >>/etc/modules-load.d/canwharf.conf"
        yield Finding(WARN, "nothing loads can-gw at the next boot", fix)


# systemd's LoadState= of a unit that it cannot start -> the command for the operator
_UNUSABLE = {
    "masked": "systemctl unmask {}",
    "bad-setting": "systemctl edit {}",
    "error": "systemctl edit {}",
}


_LATELY = 3600  # seconds: a daemon that fails again and again runs most of the time


def _daemon(facts: Facts) -> Iterator[Finding]:
    subject = f"the managed plugin {facts.plugin}" if facts.plugin else "the daemon"
    failing = facts.service.failing if facts.service and not facts.plugin else ""
    held = facts.rebind != facts.restart
    if facts.process and not facts.listens and not facts.plugin:
        what = f"the daemon runs (process {facts.process}), without listening on {facts.socket}"
        yield Finding(FAILURE, what, facts.rebind, safe=held)
    elif facts.refusal:
        yield Finding(FAILURE, f"{subject} does not answer: {facts.refusal}", facts.restart)
    elif facts.process:
        yield from _runs(facts, subject)
    elif facts.service and facts.service.load in _UNUSABLE and not facts.plugin:
        name, load = facts.service.name, facts.service.load
        yield Finding(FAILURE, f"systemd cannot start {name}: {load}", _UNUSABLE[load].format(name))
    elif failing:
        what = f"the service does not start, so Docker's calls are refused: {failing}"
        if facts.program and facts.program.fault:
            yield Finding(FAILURE, what, facts.install)
        else:
            yield Finding(FAILURE, what, facts.restart, safe=True)
    elif held and not facts.listens:
        what = f"Docker does not find the driver: systemd listens, but {facts.socket} is gone"
        yield Finding(FAILURE, what, facts.rebind, safe=True)
    elif facts.listens:
        what = "the daemon does not run; systemd starts it at Docker's first call"
        yield Finding(WARN, what, facts.start, safe=True)
    else:
        safe = facts.start.startswith("systemctl")
        yield Finding(FAILURE, f"{subject} does not run", facts.start, safe)


def _runs(facts: Facts, subject: str) -> Iterator[Finding]:
    yield Finding(OK, f"{subject} runs (process {facts.process})")
    if facts.outdated:
        yield Finding(WARN, facts.outdated, facts.restart)
    if facts.failed_ago is not None and facts.failed_ago < _LATELY and facts.service:
        what = f"the daemon failed and was restarted {facts.failed_ago / 60:.0f} minutes ago"
        yield Finding(WARN, f"{what}; why: journalctl -u {facts.service.name}")


def _program(facts: Facts) -> Iterator[Finding]:
    if facts.program is None:
        return
    path, version, fault = facts.program
    if fault and facts.root:
        yield Finding(FAILURE, f"the service's program does not start: {fault}", facts.install)
    elif fault:
        yield Finding(WARN, f"cannot check whether {path} starts: {fault}", facts.sudo)
    elif version != facts.version:
        what = f"the service's program {path} is version {version}, this program is {facts.version}"
        yield Finding(WARN, what, facts.install)
    else:
        yield Finding(OK, f"{path} is version {version}, as this program")


def _units(facts: Facts) -> Iterator[Finding]:
    units = [unit for unit in facts.units or () if unit.there]
    if facts.plugin:
        yield Finding(OK, "Docker starts its managed plugins itself")
    elif facts.units is None:
        yield Finding(OK, "systemd does not run here: start canwharf before Docker at each boot")
    elif not units:
        yield Finding(FAILURE, "no systemd unit starts canwharf at boot", facts.install)
    else:
        yield from _enabled(units, facts)


def _enabled(units: list[Unit], facts: Facts) -> Iterator[Finding]:
    names = " ".join(unit.name for unit in units)
    enabled = [unit for unit in units if unit.enabled]
    if not enabled:
        yield Finding(FAILURE, f"not enabled: {names}", f"systemctl enable {names}")
    elif not any(unit.before_docker for unit in enabled):
        what = "Docker may start first at boot, and then cannot start the containers"
        yield Finding(FAILURE, what, facts.install)
    else:
        listed = ", ".join(unit.name for unit in enabled)
        origin = " (a package's)" if facts.packaged and not facts.shadowed else ""
        yield Finding(OK, f"enabled, and before Docker at boot: {listed}{origin}")
    if facts.shadowed:
        what = f"units in /etc/systemd/system override the package's {facts.packaged}"
        yield Finding(WARN, what, "/usr/bin/canwharf install")


def _state(facts: Facts) -> Iterator[Finding]:
    if facts.state_fault and not facts.root:
        yield Finding(WARN, facts.state_fault, facts.sudo)
    elif facts.state_fault:
        # A daemon sets aside what it cannot read, and rebuilds it from the kernel and Docker.
        yield Finding(FAILURE, facts.state_fault, facts.restart)
    elif facts.conflict:
        yield Finding(FAILURE, facts.conflict, facts.itself)
    elif facts.unseen and not (facts.status and facts.status.stored):
        what = f"there is no {facts.state}; {facts.unseen}"
        yield Finding(WARN, what, facts.restart if facts.root else facts.sudo)
    elif facts.status and not facts.status.stored:
        yield Finding(OK, f"no network was ever created: there is no {facts.state}")
    else:
        yield Finding(OK, f"{facts.state} is readable")
    if facts.write_fault:
        yield Finding(FAILURE, f"no container can join a bus: {facts.write_fault}")
    if facts.aside:
        what = f"files that could not be read, the newest is {facts.aside[-1]} ({len(facts.aside)})"
        yield Finding(WARN, what, f"rm -r {shlex.quote(facts.state)}.*.bad")


def _buses(facts: Facts) -> Iterator[Finding]:
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


def _members(facts: Facts) -> Iterator[Finding]:
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


def _differences(facts: Facts) -> Iterator[Finding]:
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


def _duplicates(facts: Facts) -> Iterator[Finding]:
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


def _foreign(facts: Facts) -> Iterator[Finding]:
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


def _orphans(facts: Facts) -> Iterator[Finding]:
    if facts.status is None:
        return
    found = [each.link.name for each in facts.status.steps if isinstance(each, DeleteLink)]
    for name in found:
        what = f"{name} was made by canwharf and belongs to no network"
        yield Finding(FAILURE, what, facts.canwharf("sync"), safe=True)
    if not found:
        yield Finding(OK, "each interface of canwharf belongs to a network")


def _networks(facts: Facts) -> Iterator[Finding]:
    if facts.status is None or facts.status.names is None:
        return
    for network, interface in facts.unknown_networks.items():
        what = f"Docker does not know the network {network[:12]} on {interface}"
        yield Finding(WARN, what, facts.canwharf(f"doctor --forget {network}"))
    if not facts.unknown_networks:
        yield Finding(OK, "Docker knows all networks of this driver")


def _containers(facts: Facts) -> Iterator[Finding]:
    if facts.status is None or facts.status.names is None:
        return
    if facts.stranded:
        names = " ".join(map(shlex.quote, facts.stranded))
        reason = next(iter(facts.stranded.values()))
        what = f"should run, but Docker could not start: {names} ({reason})"
        yield Finding(FAILURE, what, f"docker start {names}", safe=True)
    else:
        yield Finding(OK, "Docker could start all containers")


CHECKS: dict[str, Check] = {
    "privileges": _privileges,
    "modules": _modules,
    "parameters": _loaded,
    "boot": _boot,
    "docker": runtimes.docker,
    "runtimes": runtimes.executables,
    "daemon": _daemon,
    "program": _program,
    "units": _units,
    "state": _state,
    "buses": _buses,
    "members": _members,
    "differences": _differences,
    "duplicates": _duplicates,
    "foreign": _foreign,
    "orphans": _orphans,
    "networks": _networks,
    "containers": _containers,
}
