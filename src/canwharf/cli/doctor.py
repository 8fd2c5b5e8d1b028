"""`canwharf doctor`: what is wrong, and the command that mends it.

Rules:

- One line a thing looked at. The exit status is 1 if there is a failure, else 0.
- --fix runs the commands that can do no harm, says each, and looks again.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess  # noqa: TID251 (it runs what it prints; the daemon does not come here)
import sys
from collections.abc import Mapping, Sequence

from canwharf.cli import instance
from canwharf.cli.instance import Instance
from canwharf.cli.options import JSON, Flag, Option
from canwharf.docker import listener
from canwharf.kernel.missing import advice
from canwharf.kernel.netlink import Netlink
from canwharf.operator import paint
from canwharf.operator.doctor.checks import FAILURE, OK, WARN, Finding, examine
from canwharf.operator.doctor.gather import forget, gather
from canwharf.operator.service import program
from canwharf.operator.service.units import Units

DESCRIPTION = (
    "Look for what keeps buses from working: kernel modules, Docker, the daemon and its socket, "
    "systemd's units and the program that they start, the state, gateway rules and interfaces, "
    "containers that were not started. Each line is ok, a warning or a "
    "failure, which names the command that mends it. Exit status: 1 if there is a failure, else 0."
)
EXAMPLE = "sudo canwharf doctor --fix"
OPTIONS = (
    Flag(
        "fix",
        "run the commands that can do no harm: load modules, start the unit, synchronise, start "
        "containers that Docker could not start",
    ),
    Option("forget", "", "remove a network that Docker does not know any more", "ID"),
    JSON,
    *instance.WHICH,
)
_COLOURS = {OK: paint.GOOD, WARN: paint.DOUBTFUL, FAILURE: paint.BAD}


def run(options: Mapping[str, str]) -> int:
    """Look, mend what can be mended if asked to, and tell. Raises CanwharfError."""
    which = instance.of(options)
    if options["forget"]:
        forget(which.socket, which.state, options["forget"])
        print(f"removed the network {options['forget']}")
        return 0
    findings = _look(which)
    if options["fix"]:
        mends = {each.mend: None for _check, each in findings if each.safe and each.level != OK}
        for mend in mends:
            _run(mend)
        findings = _look(which) if mends else findings
    failed = any(each.level == FAILURE for _check, each in findings)
    if options["json"]:
        told = [{"check": check, **each._asdict()} for check, each in findings]
        print(json.dumps({"ok": not failed, "findings": told}, indent=1))
    else:
        _print(findings)
    return 1 if failed else 0


def _look(which: Instance) -> Sequence[tuple[str, Finding]]:
    unit = Units.of(listener.driver_name(which.socket)).name
    requests = Netlink()
    try:
        facts = gather(which.socket, which.state, requests, unit, advice)
        return examine(facts._replace(where=which.where, serving=which.serving))
    finally:
        requests.close()


def _print(findings: Sequence[tuple[str, Finding]]) -> None:
    brush = paint.brush(sys.stdout.isatty(), os.environ)
    for check, finding in findings:
        what, command = paint.legible(finding.what), paint.legible(finding.mend)
        mend = f"; mend it: {brush(command, paint.STRONG)}" if command else ""
        level = brush(f"{finding.level:8}", _COLOURS[finding.level])
        print(f"{level} {check + ':':13} {what}{mend}")


def _run(command: str) -> None:
    """Run a command that was found to mend something; what it says is seen."""
    print(f"$ {command}", file=sys.stderr, flush=True)
    words = shlex.split(command)
    if words[0] == "canwharf":
        words[:1] = program.words()
    try:
        subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except OSError as error:
        print(f"cannot run {words[0]}: {error.strerror}", file=sys.stderr)
