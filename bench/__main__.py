"""`make bench`: measure in a guest, and a span on the machine; write docs/benchmarks.md and pictures.

python3 -m bench [--suite sid] [--quick] [--print] [PART…], as root

A part alone takes seconds to minutes: `python3 -m bench start rest`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.page import page, rows
from bench.parts import PARTS
from bench.pictures import plots
from bench.span import measure
from lab.errors import LabError
from lab.guest import Guest
from lab.suites import SUITES

DOCS = Path(__file__).resolve().parent.parent / "docs"
_TIMEOUT = 7200.0  # seconds


def main() -> int:
    """Run, write."""
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--suite", default="sid", choices=SUITES)
    parser.add_argument("--quick", action="store_true", help="few repeats, and the figures alone")
    parser.add_argument("--print", action="store_true", help="to standard output, change no file")
    parser.add_argument(
        "part",
        nargs="*",
        metavar="PART",
        help=f"measure these alone, and print their figures as JSON: {', '.join(PARTS)}",
    )
    arguments = parser.parse_args()
    for unknown in set(arguments.part) - PARTS.keys():
        parser.error(f"there is no part {unknown!r}: {', '.join(PARTS)}")
    quick = ["--quick"] if arguments.quick else []
    words = ["python3", "-m", "bench.parts", *quick, *arguments.part]
    if not arguments.part:
        print("bench: measuring in a guest; about 40 minutes (--quick: 6)", file=sys.stderr)
    try:
        with Guest(arguments.suite) as guest:
            done = guest.run(words, timeout=_TIMEOUT, watch=_show_progress)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    found = json.loads(done.stdout.splitlines()[-1])
    if arguments.part:
        print(json.dumps(found, indent=1))
        return 0
    found["span"] = measure(arguments.quick)
    if arguments.quick:  # does it run at all: it lacks what the page's headline needs
        print(*(" | ".join(row) for row in rows(found)), sep="\n")
        return 0
    text = page(found, arguments.suite)
    if arguments.print:
        print(text)
        return 0
    (DOCS / "benchmarks.md").write_text(text)
    for name, plot in plots(found).items():
        (DOCS / name).write_text(plot.svg())
    print(f"bench: wrote {DOCS / 'benchmarks.md'}", file=sys.stderr)
    return 0


def _show_progress(stream: str, data: bytes) -> None:
    """Which part is being measured."""
    if stream == "err":
        print(data.decode(errors="replace"), end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
