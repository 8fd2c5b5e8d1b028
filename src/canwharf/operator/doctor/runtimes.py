"""The checks of what starts containers: Docker, Podman, CNI runtimes. Pure.

Rule: a machine needs one of them. Docker may be missing where Podman or a CNI runtime is there.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.operator.doctor.facts import Facts
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding

_PODMAN = "Podman"  # an executable's runtime, as operator.service.executables has it


def docker(facts: Facts) -> Iterator[Finding]:
    """Whether Docker answers."""
    if facts.docker:
        yield Finding(OK, f"Docker {facts.docker}")
    elif not facts.root:
        yield Finding(WARN, "only root can use Docker's socket", facts.sudo)
    elif facts.docker_there:
        fix = "dockerd" if facts.units is None else "systemctl restart docker"
        yield Finding(FAILURE, "Docker does not answer", fix)
    elif facts.executables:
        others = " and ".join(sorted({each.runtime for each in facts.executables}))
        yield Finding(OK, f"Docker does not run; {others} can be used without it")
    else:
        fix = "dockerd" if facts.units is None else "systemctl start docker"
        yield Finding(FAILURE, "Docker does not run, or is not installed", fix)


def executables(facts: Facts) -> Iterator[Finding]:
    """Whether each runtime finds the executable of this version, and a node's lists can work."""
    if not facts.executables:
        yield Finding(OK, "neither Podman nor a CNI runtime is here")
    for each in facts.executables:
        if each.fault:
            # A warning: a machine may have it, and use it for something else.
            what = f"{each.runtime} does not find the driver: {each.path} {each.fault}"
            yield Finding(WARN, what, facts.install if facts.units is not None else "")
        else:
            yield Finding(OK, f"{each.path} is there for {each.runtime}")
    yield from _rootless(facts)
    for path, fault in facts.lists.items():
        yield Finding(WARN, f"{path}: {fault}") if fault else Finding(OK, f"{path} has a CAN bus")


def _rootless(facts: Facts) -> Iterator[Finding]:
    """Whether a Podman without root finds the driver, and whose."""
    if facts.group:
        who = f"if its user is a member of the group {facts.group}"
        yield Finding(OK, f"a rootless Podman finds the driver, {who}")
    elif facts.chosen:
        what = f"the group {facts.chosen} is to have the driver by a rootless Podman, whose socket"
        fix = f"{facts.install} --allow-group {facts.chosen}"
        yield Finding(WARN, f"{what} does not listen", fix)
    elif any(each.runtime == _PODMAN for each in facts.executables):
        how = f"'{facts.install} --allow-group GROUP' allows it"
        yield Finding(OK, f"a rootless Podman does not find the driver; {how}")
