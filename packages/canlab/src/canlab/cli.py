"""The command line: `canlab [OPTION…] COMMAND [ARGUMENT…]`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from canlab import __version__, boot, interfaces, kernel, memory, native, ports
from canlab.errors import FAILED, UNFIT, CanlabError, UnfitError, UsageError
from canlab.front import Front, Order
from canlab.guest.docker import SYSTEM

INSIDE = "CANLAB"

DESCRIPTION = """\
Run a command with CAN interfaces of its own: without root, without a kernel module, on any x86-64
Linux machine. The command sees the same files, environment and terminal. It is root over a network
that is its own, in which vcan0 is up.
"""
EPILOG = f"""\
examples:
  canlab pytest                                     vcan0 is there and up
  canlab --interfaces vcan0,vcan1 -- make test
  canlab --interfaces can0=slcan,can1=slcan --bitrate 250k ./test.sh
                                                    two controllers on one wire
  canlab sh -c 'ip link add vcan9 type vcan && ip link set vcan9 up && ./test.sh'
  canlab --ports 5432 pytest                        with the database that runs here
  canlab --native auto pytest                       faster, where this machine has CAN
  canlab --shell                                    a shell to look around in
  canlab --docker sh -c 'docker network create -d canwharf -o can.name=can bus0 && ./test.sh'
                                                    containers on a bus, by Docker inside

kinds of interfaces:
  vcan0              a virtual bus, CAN FD
  can0=slcan         a controller with a bit rate; all of these are on one wire
  a=vxcan:b          a pair: what one end sends, the other receives

what is different inside:
  The network: loopback and the CAN interfaces; no other, but for --ports.
  Processes that the command leaves in the background end with it.
  One processor, if --cpus does not say otherwise.

exit status: the command's own (128 + N if signal N ended it); 127 there is no such command; 126 it
cannot be run; {UNFIT} this machine cannot run the kernel; {FAILED} canlab failed otherwise.

environment:
  {kernel.VARIABLE}     the kernel's file, in place of the one that is installed
  {memory.VARIABLE}     a folder for the guest's memory, writable and not mounted noexec
  {SYSTEM}     the file of another system for Docker, in place of the one that is made
"""


def parser() -> argparse.ArgumentParser:
    """The command line, as --help teaches it."""
    top = _Parser(
        "canlab",
        usage="canlab [OPTION…] COMMAND [ARGUMENT…]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument(
        "--interfaces",
        "-i",
        metavar="LIST",
        default=interfaces.DEFAULT,
        help="CAN interfaces, as vcan0,can0=slcan (default: %(default)s; '' for none)",
    )
    top.add_argument(
        "--bitrate", metavar="RATE", default="500k", help="of each slcan (default: %(default)s)"
    )
    top.add_argument(
        "--user",
        "-u",
        action="store_true",
        help="keep your uid inside, with CAP_NET_ADMIN and CAP_NET_RAW",
    )
    top.add_argument(
        "--ports",
        metavar="LIST",
        default="",
        help="TCP ports of this machine's 127.0.0.1 that are there inside, too, as 5432,8080",
    )
    top.add_argument(
        "--docker",
        action="store_true",
        help="run Docker inside, with canwharf's CAN buses; its system is made once, in minutes",
    )
    top.add_argument(
        "--disk",
        metavar="FILE",
        help="with --docker: keep images, networks and containers there (default: they are lost)",
    )
    top.add_argument("--shell", "-s", action="store_true", help="run $SHELL, or /bin/sh")
    top.add_argument(
        "--native",
        choices=native.CHOICES,
        default=native.NEVER,
        help="take this machine's own kernel if it has CAN and you may use it (default: never)",
    )
    top.add_argument(
        "--cpus", metavar="N", default="1", help="processors, 8 at most (default: %(default)s)"
    )
    top.add_argument(
        "--memory",
        "-m",
        metavar="SIZE",
        help="as 512M or 2G (default: half of the machine's, 4G at most)",
    )
    top.add_argument("--version", action="version", version=f"canlab {__version__}")
    top.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return top


class _Parser(argparse.ArgumentParser):
    """argparse's status for a wrong command line is 2, which is pytest's, too."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}   (canlab --help says more)")


def parse_memory(text: str) -> int:
    """A size in bytes. Raises UsageError."""
    factor = {"M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 0)
    digits = text[:-1]
    if not factor or not digits.isascii() or not digits.isdigit():
        raise UsageError(f"--memory {text} must be a number with M or G, as 512M")
    size = int(digits) * factor
    if size < memory.LEAST:
        raise UsageError(f"--memory {text} is less than the kernel needs, {memory.LEAST >> 20}M")
    return size


def parse_cpus(text: str) -> int:
    """A number of processors. Raises UsageError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= kernel.MOST_PROCESSORS):
        raise UsageError(f"--cpus {text} must be a number from 1 to {kernel.MOST_PROCESSORS}")
    return int(text)


def command_of(options: argparse.Namespace) -> list[str]:
    """The command and its arguments. Raises UsageError."""
    command: list[str] = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.shell:
        if command:
            raise UsageError("--shell takes no command; leave one of them away")
        command = [os.environ.get("SHELL") or "/bin/sh"]
    for word in command:
        if re.fullmatch(r"(/dev|/proc/self)/fd/\d\d+", word):
            raise UsageError(
                f"{word} is a pipe of the shell, as of <(…), which is not there inside: use a file"
            )
    if not command:
        raise UsageError("a command is missing, as in: canlab pytest   (canlab --help says more)")
    return command


def order_of(options: argparse.Namespace) -> Order:
    """What the caller wants in the guest. Raises UsageError, CanlabError."""
    order = Order(
        argv=command_of(options),
        environment={**os.environ, INSIDE: __version__},
        interfaces=interfaces.parse(options.interfaces),
        bitrate=interfaces.parse_bitrate(options.bitrate),
        ports=ports.parse(options.ports),
        as_user=options.user,
    )
    if options.disk and not options.docker:
        raise UsageError("--disk is for --docker")
    if not options.docker:
        return order
    from canlab import docker  # noqa: PLC0415 - with its imports it takes as long as all others

    environment = docker.environment(order.environment)
    return order._replace(canwharf=docker.canwharf(), environment=environment)


def disks_of(options: argparse.Namespace) -> Sequence[int]:
    """The guest's disks, open files. Raises CanlabError."""
    if not options.docker:
        return ()
    from canlab import docker  # noqa: PLC0415 - as above

    return docker.disks(options.disk)


def run(arguments: Sequence[str]) -> int:
    """Run the command; its status. Raises CanlabError."""
    options = parser().parse_args(arguments)
    order = order_of(options)
    try:
        os.getcwd()
    except FileNotFoundError:
        raise CanlabError("the current folder is gone: change to one that is there") from None
    wanted = parse_memory(options.memory) if options.memory else None
    processors = parse_cpus(options.cpus)
    if options.native != native.NEVER:
        obstacle = native.obstacle(order)
        if not obstacle:
            native.become(order)
        if options.native == native.ALWAYS:
            raise UnfitError(f"this machine's own kernel does not do it: {obstacle}")
    program = kernel.find()
    disks = disks_of(options)
    folder, size = memory.find(wanted)
    guest = boot.start(program, folder, size, processors, disks, as_root=not order.as_user)
    try:
        return Front(guest, order._replace(modules=kernel.modules(program))).run()
    finally:
        guest.end()


def call(arguments: Sequence[str]) -> int:
    """Run; the status, after an error with its words on standard error. This alone prints."""
    try:
        return run(arguments)
    except CanlabError as error:
        print(f"canlab: {error}", file=sys.stderr)
        return error.status
    except OSError as error:  # no process, no descriptor to be had
        print(f"canlab: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130


def main() -> int:
    """The program canlab."""
    return call(sys.argv[1:])
