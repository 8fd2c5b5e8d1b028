"""Runs in the guest, as root: measures all parts, or those named, and prints one JSON object.

python3 -m bench.parts [--quick] [PART…]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from bench.executable import executable
from bench.inside import at_rest, cold, install, joins, recovery, start_up
from bench.policies import policies
from bench.scale import scale
from bench.traffic import traffic


def _joins(quick: bool) -> dict[str, Any]:
    def repeats(name: str, size: int) -> int:
        if name == "canwharf":
            return 5 if quick else 15
        return 2 if quick or size > 40 else 5

    return joins([1, 10, 40] if quick else [1, 10, 20, 40, 70, 100, 150, 200], repeats)


# Each takes whether it is to be quick. In this order, as each leaves the guest as it was.
PARTS: dict[str, Callable[[bool], Any]] = {
    "start": lambda quick: start_up(5 if quick else 40),
    "executable": lambda quick: executable(5 if quick else 80),
    "joins": _joins,
    "cold": lambda quick: cold(3 if quick else 7),
    "recovery": lambda quick: recovery(*((5, 3, 1) if quick else (20, 5, 3))),
    "rest": lambda quick: at_rest(5 if quick else 60),
    "scale": scale,
    "policies": lambda quick: policies(20 if quick else 200),
    "traffic": lambda quick: traffic(2000 if quick else 10000, 1 if quick else 3),
}


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("part", nargs="*")
    arguments = parser.parse_args()
    install()
    wanted = arguments.part or list(PARTS)
    found: dict[str, Any] = {}
    for number, part in enumerate(wanted, 1):
        print(f"bench: {part}, {number} of {len(wanted)}", end="", file=sys.stderr, flush=True)
        began = perf_counter()
        found[part] = PARTS[part](arguments.quick)
        print(f": {perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    found["versions"] = {
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "machine": os.uname().machine,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
