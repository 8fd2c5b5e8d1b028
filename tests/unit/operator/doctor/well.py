"""A machine that is well, and what the doctor says of one."""

from __future__ import annotations

from canwharf.kernel import needed
from canwharf.operator.doctor.checks import CHECKS
from canwharf.operator.doctor.facts import Facts, Program, Unit
from canwharf.operator.doctor.finding import Finding

WELL = Facts(
    "canwharf",
    "/run/docker/plugins/canwharf.sock",
    modules=dict.fromkeys(needed.NEEDED, needed.LOADED),
    docker="28.5.2",
    process=412,
    listens=True,
    units=(
        Unit("canwharf.service", there=True, enabled=True, before_docker=True),
        Unit("canwharf.socket", there=True, enabled=True, before_docker=True),
    ),
    state="/var/lib/canwharf/state.json",
    program=Program("/usr/local/bin/canwharf", "1.0"),
    version="1.0",
    backlog=1000,
)


def told(check: str, facts: Facts) -> list[Finding]:
    return list(CHECKS[check](facts))
