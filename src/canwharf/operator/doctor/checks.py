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
from collections.abc import Iterator

from canwharf.kernel.needed import BUILT_IN, LOADABLE, LOADED, NEEDED, Parameters
from canwharf.operator.doctor import buses, runtimes, spans
from canwharf.operator.doctor.facts import Facts, Unit
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Check, Finding


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
        if module not in NEEDED:
            continue  # see `buses.shape` and `buses.trouble`
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
    "buses": buses.buses,
    "shape": buses.shape,
    "policies": buses.policies,
    "trouble": buses.trouble,
    "spans": spans.spans,
    "queue": buses.queue,
    "members": buses.members,
    "differences": buses.differences,
    "duplicates": buses.duplicates,
    "foreign": buses.foreign_rules,
    "orphans": buses.orphans,
    "networks": buses.networks,
    "containers": buses.containers,
}
