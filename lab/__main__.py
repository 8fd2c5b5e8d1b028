"""The lab by hand: build it, run a command in a guest, look around in one."""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import shlex
import signal
import struct
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from lab import disk
from lab.boot import choose
from lab.cache import folder, say
from lab.channel import Process
from lab.docker import start_docker
from lab.errors import CommandError, CommandTimeout, GuestDied, LabError
from lab.guest import Guest
from lab.suites import DEFAULT_SUITE, SUITES

# As docker run: the status says that not the command, but what runs it, failed.
LAB_FAILED = 125
TIMED_OUT = 124  # as timeout(1)

DESCRIPTION = """\
Boot a guest with a real CAN kernel (can, can-gw, vcan, vxcan, slcan) and real Docker, on any
Debian or Ubuntu machine, as root: no KVM, no CAN in this machine's kernel, no registry.
It boots by the first strategy that comes up on this machine, which is then remembered.

The first guest of a suite takes about a minute, as its root folder and its disk are built;
they are kept in $CANWHARF_LAB, else in ~/.cache/canwharf-lab (delete it as you like).
In the guest this repository is /repo (read-only) and PYTHONPATH=/repo/src:/repo.
"""
STRATEGIES = "\n".join(
    ("boot strategies:", *(f"  {boot.name:<10} {boot.what}" for boot in choose.BOOTS.values()))
)
EXAMPLES = f"""\
{STRATEGIES}

examples:
  python3 -m lab build                              all that the default suite needs
  python3 -m lab run -- cansend --help
  python3 -m lab run --docker -- docker run --rm --network none ecu ip link
  python3 -m lab run -- 'ip link add v0 type vcan && ip -d link show v0'
  python3 -m lab run --suite sid -- python3 -m pytest -p no:cacheprovider /repo/tests/kernel
  python3 -m lab shell --docker --disk /tmp/my.img  a disk to come back to

exit status: the command's own; 125 the guest died or the lab could not be built;
124 the command took longer than --timeout and was killed.
"""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help teaches it."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        "python3 -m lab", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw
    )
    verbs = top.add_subparsers(required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--suite", choices=SUITES, default=DEFAULT_SUITE, help="Debian release (%(default)s)"
    )
    machine = argparse.ArgumentParser(add_help=False, parents=[common])
    machine.add_argument("--docker", action="store_true", help="start Docker first (about 4 s)")
    machine.add_argument(
        "--disk", type=Path, help="a disk image to keep, made if missing (else one that is lost)"
    )
    machine.add_argument(
        "--systemd", action="store_true", help="boot systemd, which starts Docker (about 10 s)"
    )
    machine.add_argument(
        "--boot",
        choices=(choose.AUTO, *choose.BOOTS),
        help=f"boot strategy, below ({choose.AUTO}, or ${choose.VARIABLE}): what works here",
    )
    machine.add_argument("--mem", default="2G", help="the guest's memory (%(default)s)")

    build_verb = verbs.add_parser(
        "build", parents=[common], help="build the root folder and the disk of a suite"
    )
    build_verb.set_defaults(verb=build)

    run_verb = verbs.add_parser(
        "run",
        parents=[machine],
        help="run a command in a guest",
        usage="python3 -m lab run [OPTION…] -- COMMAND [ARGUMENT…]",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    run_verb.add_argument("--timeout", type=float, help="seconds until the command is killed")
    run_verb.add_argument(
        "command", nargs="+", metavar="COMMAND", help="one word with blanks goes to /bin/sh"
    )
    run_verb.set_defaults(verb=run)

    shell_verb = verbs.add_parser(
        "shell", parents=[machine], help="an interactive shell in a guest"
    )
    shell_verb.set_defaults(verb=shell)
    return top


def build(options: argparse.Namespace) -> int:
    """Build what a guest of the suite needs."""
    disk.prepared(SUITES[options.suite])
    say(f"{options.suite} is in {folder()}")
    return 0


def run(options: argparse.Namespace) -> int:
    """Run one command and relay what it writes, as it writes it."""
    words: list[str] = options.command
    command = words[0] if len(words) == 1 else shlex.join(words)
    with _guest(options) as guest:
        process = guest.start(command, watch=_show)
        status = process.wait(options.timeout, check=False).status
        guest.power_off()
    return status


def shell(options: argparse.Namespace) -> int:
    """Join this terminal to a shell in the guest."""
    if not sys.stdin.isatty():
        raise LabError("a shell needs a terminal; use `run` in a script")
    with _guest(options) as guest:
        say("/repo is this repository; leave with exit or Ctrl-D")
        process = guest.start(
            ["bash", "-l"],
            env={"TERM": os.environ.get("TERM", "dumb")},
            cwd="/root",
            input=True,
            size=_terminal_size(),
            watch=_show,
        )
        _join_terminal(process)
        status = process.wait(check=False).status
        guest.power_off()
    return status


@contextmanager
def _guest(options: argparse.Namespace) -> Iterator[Guest]:
    with Guest(
        options.suite,
        disk=options.disk,
        mem=options.mem,
        systemd=options.systemd,
        boot=options.boot,
    ) as guest:
        if options.docker and not options.systemd:
            start_docker(guest)
        yield guest


def _show(stream: str, data: bytes) -> None:
    target = sys.stdout if stream == "out" else sys.stderr
    with suppress(BrokenPipeError):  # nobody reads it any more, as in `… | head`
        target.buffer.write(data)
        target.buffer.flush()


def _terminal_size() -> tuple[int, int]:
    packed = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
    rows, columns, _, _ = struct.unpack("4H", packed)
    return rows or 24, columns or 80


def _join_terminal(process: Process) -> None:
    """Pass on keys and size until the command ends."""
    ended, end = os.pipe()

    def resized(_number: int, _frame: FrameType | None) -> None:
        process.resize(*_terminal_size())

    def wait() -> None:
        with suppress(LabError):  # the caller waits too, and hears of it
            process.wait(check=False)
        os.write(end, b"\n")

    threading.Thread(target=wait, daemon=True).start()
    before = termios.tcgetattr(0)
    old = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(0)
        while ended not in (ready := select.select([0, ended], [], [])[0]):
            if 0 in ready:
                process.write(os.read(0, 1024))
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, old)
        os.close(ended)


def main() -> int:
    """Run a verb; the only place that turns an error into a status."""
    options = parser().parse_args()
    try:
        status: int = options.verb(options)
        return status
    except CommandTimeout as error:
        say(f"still running after {error.timeout:g} s, killed: {error.command}")
        return TIMED_OUT
    except GuestDied as error:
        say(f"THE GUEST DIED, which says nothing about the command: {error}")
    except (LabError, CommandError) as error:
        say(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return LAB_FAILED


if __name__ == "__main__":
    sys.exit(main())
