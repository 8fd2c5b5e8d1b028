"""The checks of what starts containers: Docker, Podman, CNI runtimes. Pure.

Rule: a machine needs one of them. Docker may be missing where Podman or a CNI runtime is there.
"""

from __future__ import annotations

from collections.abc import Iterator

from canwharf.operator.doctor.facts import Facts
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding


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
    for path, fault in facts.lists.items():
        yield Finding(WARN, f"{path}: {fault}") if fault else Finding(OK, f"{path} has a CAN bus")
