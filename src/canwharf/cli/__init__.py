"""The command line: one verb, one file, one row of the table.

Rules:

- Only the verb that is asked for is imported: what `serve` does not use costs a board nothing.
- The daemon's start does not wait for argparse, which takes nearly as long as an interpreter's
  start: `serve` and `--option value` pairs that are all in its table are read by hand. Whoever
  asks for help or made a mistake gets argparse, which is made from the same table.
- Exit codes: 0 done, 1 it failed (one line on standard error says why and what to do), 2 the
  command line is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from canwharf import __version__
from canwharf.cli.options import read_plain
from canwharf.errors import CanwharfError

VERBS = {
    "serve": "run the daemon that gives containers their CAN buses",
}

_Run = Callable[[Mapping[str, str]], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    run, values = _daemon(words) or _parsed(words)
    try:
        return run(values)
    except CanwharfError as error:
        print(f"canwharf: {error}", file=sys.stderr)
        return 1


def _daemon(words: Sequence[str]) -> tuple[_Run, Mapping[str, str]] | None:
    """The daemon and its options, if that is all that the command line says."""
    if words[:1] != ["serve"]:
        return None
    from canwharf.cli import serve  # noqa: PLC0415 (one verb, one import)

    values = read_plain(serve.OPTIONS, words[1:])
    return None if values is None else (serve.run, values)


def _parsed(words: Sequence[str]) -> tuple[_Run, Mapping[str, str]]:
    """Any verb and its options, or help, or the end with what is wrong."""
    import argparse  # noqa: PLC0415 (see above)

    parser = argparse.ArgumentParser(
        prog="canwharf",
        description="CAN buses for containers: docker network create -d canwharf bus0",
    )
    parser.add_argument("--version", action="version", version=f"canwharf {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", dest="verb", required=True)
    wanted = next((word for word in words if word in VERBS), "")
    for verb, summary in VERBS.items():
        one = verbs.add_parser(verb, help=summary)
        if verb != wanted:
            continue
        module = import_module(f"canwharf.cli.{verb}")
        one.description = module.DESCRIPTION
        for option in module.OPTIONS:
            one.add_argument(
                f"--{option.name}",
                default=option.default,
                metavar=option.metavar or None,
                choices=option.choices or None,
                help=f"{option.help} (default: %(default)s)",
            )
    values = vars(parser.parse_args(words))
    run: _Run = import_module(f"canwharf.cli.{values.pop('verb')}").run
    return run, {name.replace("_", "-"): value for name, value in values.items()}
