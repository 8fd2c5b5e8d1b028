"""The command line: one verb, one file, one row of the table.

Rules:

- Only the module of the given verb is imported.
- `serve` does not import argparse, which takes nearly as long as the interpreter's start. Its
  `--option value` pairs are read by hand. All other verbs, `--help` and usage errors go through
  argparse, which is filled from the same table.
- Exit codes are those of EXIT_STATUS. 130 and 141 print nothing, as in other programs that a signal
  ends.
"""

from __future__ import annotations

import errno
import gc
import posix
import sys

from canwharf import __version__
from canwharf.cli.options import Argument, Flag, Option, Row, first_bus, read_plain
from canwharf.errors import CanwharfError, SetupError, UsageError

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

VERBS = {
    "serve": "run the daemon that gives containers their CAN buses",
    "status": "show the buses, their members, and what sync would change",
    "graph": "draw the buses, as SVG or for Mermaid",
    "doctor": "find problems, and the command that fixes each",
    "dump": "show the frames on the buses, and who sent each",
    "record": "record the frames on the buses, with their senders, into a file",
    "play": "send a recording onto a bus, all of it or without some senders",
    "watch": "show who sends what on the buses, live or as a document",
    "filter": "show or change what a container may send and receive",
    "fault": "trouble on purpose, for tests: wrong bytes, lost frames, bus-off",
    "span": "connect buses with those of other hosts",
    "names": "tell what containers on buses across hosts are called",
    "sync": "repair what differs from the networks' settings",
    "install": "install a systemd service that starts before Docker",
    "uninstall": "remove the service",
}

EXIT_STATUS = {
    "0": "done",
    "1": "it failed, and one line on standard error says why; or doctor found a failure",
    "2": "the command line is wrong",
    "3": "sync --dry-run found differences",
    "78": "span: its settings are wrong, or zenoh is missing; starting it again mends nothing",
    "130, 141": "it was interrupted; its output pipe was closed",
}

_USAGE = 2  # as argparse's own
_SETUP = 78  # EX_CONFIG of sysexits.h; canwharf-span.service is not started again then
_NULL = "/dev/null"
_INTERRUPTED, _UNREAD = 130, 141  # as a shell reports SIGINT and SIGPIPE: 128 + the number

_Run: TypeAlias = "Callable[[Mapping[str, str]], int]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if sys.stderr is None:  # closed by the caller (2>&-), who wants to read nothing
        sys.stderr = open(_NULL, "w")  # noqa: SIM115 (until the end)
    if sys.stdout is None and words[:1] != ["serve"]:  # which says nothing there
        print("canwharf: cannot write its output: it is closed", file=sys.stderr)
        return 1
    try:
        run, values = _daemon(words) or _parsed(words)
        status = run(values)
        if sys.stdout is not None:
            sys.stdout.flush()
    except CanwharfError as error:
        from canwharf.operator.render.terminal import sanitize  # noqa: PLC0415 (a daemon has none)

        denied = isinstance(error.__cause__, PermissionError) and posix.geteuid() != 0
        told = f"canwharf: {error}{'; it must run as root' if denied else ''}"
        # It may have a name from outside, as that of a sender in somebody's recording.
        print("\n".join(map(sanitize, told.split("\n"))), file=sys.stderr)
        return _status(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        _drop_output()
        if error.errno == errno.EPIPE:
            return _UNREAD
        print(f"canwharf: cannot write its output: {error.strerror}", file=sys.stderr)
        return 1
    return status


def _status(error: CanwharfError) -> int:
    if isinstance(error, SetupError):
        return _SETUP
    return _USAGE if isinstance(error, UsageError) else 1


def _drop_output() -> None:
    """Discard buffered output, which Python would write at its exit."""
    null = posix.open(_NULL, posix.O_WRONLY)
    posix.dup2(null, sys.stdout.fileno())
    posix.close(null)


def _daemon(words: Sequence[str]) -> tuple[_Run, Mapping[str, str]] | None:
    """`serve` and its options; None if the command line needs argparse."""
    if words[:1] != ["serve"]:
        return None
    gc.disable()  # until the loop: what a start makes stays, and to look for garbage takes a tenth
    from canwharf.cli import serve  # noqa: PLC0415 (one verb, one import)

    values = read_plain(serve.OPTIONS, words[1:])
    return None if values is None else (serve.run, values)


def _parsed(words: Sequence[str]) -> tuple[_Run, Mapping[str, str]]:
    """Any verb and its options. Help and usage errors end the program here."""
    import argparse  # noqa: PLC0415 (see above)
    from importlib import import_module  # noqa: PLC0415 (see above)
    from textwrap import fill  # noqa: PLC0415 (see above)

    parser = argparse.ArgumentParser(
        prog="canwharf",
        description="CAN buses for containers, as networks of Docker.",
        epilog=f"a bus, and a container on it with the interface can0:\n  {first_bus()}\n"
        "  docker run --network bus0 my-image\n\nexit status:\n"
        + "\n".join(
            fill(text, 79, initial_indent=f"  {code:<10}", subsequent_indent=" " * 12)
            for code, text in EXIT_STATUS.items()
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"canwharf {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", dest="verb", required=True)
    wanted = next((word for word in words if word in VERBS), "")
    for verb, summary in VERBS.items():
        one = verbs.add_parser(
            verb, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if verb != wanted:
            continue
        module = import_module(f"canwharf.cli.{verb}")
        one.description = fill(module.DESCRIPTION, 79)
        one.epilog = f"example:\n  {module.EXAMPLE}"
        for row in module.OPTIONS:
            _add(one, row)
    parsed, unknown = parser.parse_known_args(words)
    # argparse's own error has the usage of the whole program, which lists no option
    refuse = verbs.choices[parsed.verb].error
    if unknown:
        refuse(f"unrecognized arguments: {' '.join(unknown)}")
    module = import_module(f"canwharf.cli.{parsed.verb}")
    try:
        return module.run, {row.name: _value(row, vars(parsed)) for row in module.OPTIONS}
    except UsageError as error:
        refuse(str(error))


def _add(parser: ArgumentParser, row: Row) -> None:
    """Add one row of a verb's table."""
    match row:
        case Option(name, default, help, metavar, choices, short, _many):
            parser.add_argument(
                *([f"-{short}"] if short else []),
                f"--{name}",
                action="append",
                metavar=metavar or None,
                choices=choices or None,
                help=f"{help} (default: {default.replace('%', '%%')})" if default else help,
            )
        case Flag(name, help, short):
            parser.add_argument(
                *([f"-{short}"] if short else []),
                f"--{name}",
                action="store_const",
                const=name,
                default="",
                help=help,
            )
        case Argument(name, help, metavar, many):
            parser.add_argument(name, nargs="*" if many else "?", metavar=metavar, help=help)


def _value(row: Row, values: Mapping[str, str | list[str] | None]) -> str:
    """What was given for a row of the table; several values are lines.

    Raises UsageError for a value that would have no effect: the last of two would win, and an
    empty one (of a script's variable that is not set) would be as none.
    """
    found = values[row.name.replace("-", "_")]
    if isinstance(row, Flag):
        return str(found)
    given = [found] if isinstance(found, str) else found or []
    word = row.metavar if isinstance(row, Argument) else f"--{row.name}"
    if "" in given:
        raise UsageError(f"{word} is empty: give a value, or leave it out")
    if len(set(given)) > 1 and not row.many:
        raise UsageError(f"{word} may be given once, and here it is {' and '.join(given)}")
    default = "" if isinstance(row, Argument) else row.default
    return "\n".join(given if row.many else given[:1]) if given else default
