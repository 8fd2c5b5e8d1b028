"""The lab by hand: build it, run a command in a guest, look around in one."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import disk, prompt, terminal
from lab.boot import choose
from lab.cache import folder, say
from lab.docker import start_docker
from lab.errors import CommandError, CommandTimeout, GuestDied, LabError
from lab.guest import Guest
from lab.kernel import ensure_kernel
from lab.pair import NAMES, two_machines
from lab.suites import DEFAULT_SUITE, SUITES

# As docker run: the status says that not the command, but what runs it, failed.
LAB_FAILED = 125
TIMED_OUT = 124  # as timeout(1)

DESCRIPTION = """\
Boot a guest with a real CAN kernel (can, can-gw, vcan, vxcan, slcan) and real Docker, on any
Debian or Ubuntu machine, as root or as root of a user namespace: no KVM, no CAN in this
machine's kernel, no registry.
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
  python3 -m lab pair -- ping -c 1 b                two guests, a and b (pair --help)
  python3 -m lab run --boot own-smp -- nproc        the lab's own kernel on two processors

exit status: the command's own; 125 the guest died or the lab could not be built;
124 the command took longer than --timeout and was killed.
"""
PAIR = f"""\
Boot two guests, {" and ".join(NAMES)}, with Docker in each and a network between them.
Each knows the other by name. Without a COMMAND it asks what to do, or reads that from a script:

{prompt.usage()}

Nothing of them is kept.
"""
PAIR_EXAMPLES = f"""\
{STRATEGIES}

examples:
  python3 -m lab pair                               a prompt for both
  python3 -m lab pair --in b                        a shell in b
  python3 -m lab pair --in b -- 'ping -c 3 a'
  printf '%s\\n' 'a ping -c 1 b' cut 'a ping -c 1 b' | python3 -m lab pair

exit status: as of `run`; of a script, that of its last line.
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
    booted = argparse.ArgumentParser(add_help=False, parents=[common])
    booted.add_argument(
        "--systemd", action="store_true", help="boot systemd, which starts Docker (about 10 s)"
    )
    booted.add_argument(
        "--boot",
        choices=(choose.AUTO, *choose.BOOTS),
        help=f"boot strategy, below ({choose.AUTO}, or ${choose.VARIABLE}): what works here",
    )
    booted.add_argument(
        "--mem", type=_memory, default="2G", help="a guest's memory: 512M, %(default)s"
    )
    machine = argparse.ArgumentParser(add_help=False, parents=[booted])
    machine.add_argument("--docker", action="store_true", help="start Docker first (about 4 s)")
    machine.add_argument(
        "--disk", type=Path, help="a disk image to keep, made if missing (else one that is lost)"
    )
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument(
        "--timeout",
        type=float,
        help="seconds until the command is killed; a slow boot strategy multiplies them",
    )

    build_verb = verbs.add_parser(
        "build", parents=[common], help="build the root folder and the disk of a suite"
    )
    build_verb.set_defaults(verb=build)

    kernel_verb = verbs.add_parser(
        "kernel",
        help="build the lab's own kernel, for the boot strategies own and own-smp (5 to 10 min)",
        description=kernel.__doc__,
    )
    kernel_verb.set_defaults(verb=kernel)

    run_verb = verbs.add_parser(
        "run",
        parents=[machine, one],
        help="run a command in a guest",
        usage="python3 -m lab run [OPTION…] -- COMMAND [ARGUMENT…]",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    run_verb.add_argument(
        "command", nargs="+", metavar="COMMAND", help="one word with blanks goes to /bin/sh"
    )
    run_verb.set_defaults(verb=run)

    shell_verb = verbs.add_parser(
        "shell", parents=[machine], help="an interactive shell in a guest"
    )
    shell_verb.set_defaults(verb=shell)

    pair_verb = verbs.add_parser(
        "pair",
        parents=[booted, one],
        help="two guests with Docker and a network between them",
        usage="python3 -m lab pair [OPTION…] [-- COMMAND [ARGUMENT…]]",
        description=PAIR,
        epilog=PAIR_EXAMPLES,
        formatter_class=raw,
    )
    pair_verb.add_argument(
        "--in", dest="host", choices=NAMES, help="the host of the command; without one, of a shell"
    )
    pair_verb.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="run in a; one word with blanks is for /bin/sh",
    )
    pair_verb.set_defaults(verb=pair)
    return top


def _memory(text: str) -> str:
    """A size with its unit, as a kernel and QEMU read it alike."""
    if not re.fullmatch(r"[1-9][0-9]*[MG]", text):
        raise argparse.ArgumentTypeError(f"must be a number with M or G, as 2G: {text!r}")
    return text


def build(options: argparse.Namespace) -> int:
    """Build what a guest of the suite needs."""
    choose.requested()
    disk.prepared(SUITES[options.suite])
    say(f"{options.suite} is in {folder()}")
    return 0


def kernel(_options: argparse.Namespace) -> int:
    """Build the lab's own kernel, of Debian's source, if it is not in the cache yet.

    Prints its path, its release and its size. It starts as an ordinary program, without root.
    """
    built = ensure_kernel()
    size = built.program.stat().st_size / 1e6
    print(f"{built.program}: kernel {built.release}, {size:.1f} MB")
    return 0


def run(options: argparse.Namespace) -> int:
    """Run one command and relay what it writes, as it writes it."""
    with _guest(options) as guest:
        status = terminal.run(guest, _command(options.command), options.timeout)
        guest.power_off()
    return status


def shell(options: argparse.Namespace) -> int:
    """Join this terminal to a shell in the guest."""
    terminal.require()
    with _guest(options) as guest:
        say("/repo is this repository; leave with exit or Ctrl-D")
        status = terminal.join(guest)
        guest.power_off()
    return status


def pair(options: argparse.Namespace) -> int:
    """Boot two guests with a network; run a command in one, or do what lines say."""
    if options.timeout and not options.command:
        raise LabError("--timeout is for a COMMAND, and there is none")
    if options.host and not options.command:
        terminal.require()
    say(f"booting {' and '.join(NAMES)}, each with Docker")
    with two_machines(
        options.suite, mem=options.mem, systemd=options.systemd, boot=options.boot
    ) as hosts:
        for host in hosts:
            prompt.start_docker(host)
        chosen = hosts[NAMES.index(options.host or NAMES[0])]
        if options.command:
            return terminal.run(chosen, _command(options.command), options.timeout)
        if options.host:
            return terminal.join(chosen)
        return prompt.Prompt(hosts).run()


def _command(words: list[str]) -> str:
    return words[0] if len(words) == 1 else shlex.join(words)


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
    except (LabError, CommandError, OSError) as error:
        say(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return LAB_FAILED


if __name__ == "__main__":
    sys.exit(main())
