"""The command line: one verb, one file, one row of the table.

Rules:

- Only the verb that is asked for is imported: what `serve` does not use costs a board nothing.
- Exit codes: 0 done, 1 it failed (one line on standard error says why and what to do), 2 the
  command line is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from canwharf import __version__
from canwharf.errors import CanwharfError

VERBS = {
    "serve": "run the daemon that gives containers their CAN buses",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="canwharf",
        description="CAN buses for containers: docker network create -d canwharf bus0",
    )
    parser.add_argument("--version", action="version", version=f"canwharf {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    wanted = next((word for word in words if word in VERBS), "")
    for verb, summary in VERBS.items():
        one = verbs.add_parser(verb, help=summary)
        if verb == wanted:
            module = import_module(f"canwharf.cli.{verb}")
            module.configure(one)
            one.set_defaults(run=module.run)
    parsed = parser.parse_args(words)
    try:
        return int(parsed.run(parsed))
    except CanwharfError as error:
        print(f"canwharf: {error}", file=sys.stderr)
        return 1
