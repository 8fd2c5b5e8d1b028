"""`canwharf doctor`: find problems, and the command that fixes each.

Rules:

- Each thing that is checked has one line. The exit status is 1 if there is a failure, else 0.
- --fix prints and runs the commands that can do no harm, and checks again.
- With --recording it looks at this file and not at the machine. Only then modules are imported that
  read recordings: what they need may be missing where the doctor is asked why.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess  # noqa: TID251 (it runs what it prints; the daemon does not come here)
import sys
from collections.abc import Mapping, Sequence

from canwharf.cli import selection
from canwharf.cli.options import JSON, Flag, Option
from canwharf.cli.selection import Selection
from canwharf.errors import UsageError
from canwharf.kernel.missing import advice
from canwharf.kernel.netlink import Netlink
from canwharf.operator.doctor.checks import examine
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding
from canwharf.operator.doctor.gather import forget, gather
from canwharf.operator.render import terminal
from canwharf.operator.service import program

DESCRIPTION = (
    "Check what buses need: kernel modules, a queue for copies of frames, Docker, the "
    "executables of Podman and CNI, the daemon and its socket, systemd's units and the program "
    "that they start, the state, gateway rules and interfaces, containers that Docker could not "
    "start. Each line is ok, a warning or a failure. A failure names the command that fixes it. "
    "With --recording, check what a recording tells of its buses. Exit status: 1 if there is a "
    "failure, else 0."
)
EXAMPLE = "sudo canwharf doctor --fix"
OPTIONS = (
    Flag(
        "fix",
        "run the commands that can do no harm: load modules, start the unit, synchronize, start "
        "containers that Docker could not start",
    ),
    Option(
        "forget", "", "remove the network with this id, which Docker does not know any more", "ID"
    ),
    Option(
        "recording",
        "",
        "look at this recording, not at the machine: ids that two senders use, error frames, an "
        "end that is missing",
        "FILE",
    ),
    JSON,
    *selection.WHICH,
)
_COLORS = {OK: terminal.GOOD, WARN: terminal.DOUBTFUL, FAILURE: terminal.BAD}


def run(options: Mapping[str, str]) -> int:
    """Check, fix with --fix, and print. Raises CanwharfError."""
    if options["recording"]:
        daemon = any(options[row.name] != row.default for row in selection.WHICH)
        if options["fix"] or options["forget"] or daemon:
            reason = "leave --fix, --forget and the options that say which daemon out"
            raise UsageError(f"--recording looks at a file: {reason}")
        return _tell(_examine_recording(options["recording"]), as_json=bool(options["json"]))
    which = selection.announced(options)
    if options["forget"]:
        if which.conflict:
            raise UsageError(f"{which.conflict}: leave that option out")
        forget(which.instance, options["forget"])
        print(f"removed the network {options['forget']}")
        return 0
    findings = _examine(which)
    if options["fix"]:
        fixes = {each.fix: None for _check, each in findings if each.safe and each.level != OK}
        for fix in fixes:
            _run(fix)
        findings = _examine(which) if fixes else findings
    return _tell(findings, as_json=bool(options["json"]))


def _tell(findings: Sequence[tuple[str, Finding]], *, as_json: bool) -> int:
    """Print them; the exit status."""
    failed = any(each.level == FAILURE for _check, each in findings)
    if as_json:
        fields = [
            {
                "check": check,
                "level": finding.level,
                "message": finding.message,
                "fix": finding.fix or None,
                "safe": finding.safe,
            }
            for check, finding in findings
        ]
        print(json.dumps({"ok": not failed, "findings": fields}, indent=1))
    else:
        _print(findings)
    return 1 if failed else 0


def _examine(which: Selection) -> Sequence[tuple[str, Finding]]:
    requests = Netlink()
    try:
        facts = gather(which.instance, requests, advice, which.conflict)
        told = facts._replace(where=which.where, serving=which.serving, unseen=which.unseen)
        return examine(told)
    finally:
        requests.close()


def _examine_recording(path: str) -> Sequence[tuple[str, Finding]]:
    from canwharf.frames.formats import Recording  # noqa: PLC0415 (see above)
    from canwharf.operator.doctor import recording  # noqa: PLC0415 (see above)

    found = Recording(path)
    facts = recording.Facts(found)  # before `cut`, which is known after the last frame
    return recording.examine(facts, found.cut)


def _print(findings: Sequence[tuple[str, Finding]]) -> None:
    color = terminal.color(sys.stdout.isatty(), os.environ)
    for check, finding in findings:
        message, command = terminal.sanitize(finding.message), terminal.sanitize(finding.fix)
        fix = f"; fix it: {color(command, terminal.STRONG)}" if command else ""
        level = color(f"{finding.level:8}", _COLORS[finding.level])
        print(f"{level} {check + ':':13} {message}{fix}")


def _run(command: str) -> None:
    """Run a command that fixes a finding; its output goes to standard error."""
    print(f"$ {command}", file=sys.stderr, flush=True)
    words = shlex.split(command)
    if words[0] == "canwharf":
        words[:1] = program.words()
    try:
        subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except OSError as error:
        print(f"cannot run {words[0]}: {error.strerror}", file=sys.stderr)
