"""`make bench`: measure in a guest, write docs/benchmarks.md and its plot.

python3 -m bench [--suite sid] [--quick] [--print]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.page import page
from lab.errors import LabError
from lab.guest import Guest
from lab.suites import SUITES

_UNIT = "in times of canwharf's own with one endpoint on the bus; median, logarithmic"
_AXIS = "endpoints on the bus, with the one that joins"
DOCS = Path(__file__).resolve().parent.parent / "docs"
_TIMEOUT = 3600.0  # seconds


def main() -> int:
    """Run, write."""
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--suite", default="sid", choices=SUITES)
    parser.add_argument("--quick", action="store_true", help="few repeats: does it run at all")
    parser.add_argument("--print", action="store_true", help="to standard output, change no file")
    arguments = parser.parse_args()
    print("bench: measuring in a guest; about 20 minutes (--quick: 5)", file=sys.stderr)
    words = ["python3", "-m", "bench.inside", *(["--quick"] if arguments.quick else [])]
    try:
        with Guest(arguments.suite) as guest:
            done = guest.run(words, timeout=_TIMEOUT)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    found = json.loads(done.stdout.splitlines()[-1])
    text = page(found, arguments.suite)
    if arguments.print:
        print(text)
        return 0
    (DOCS / "benchmarks.md").write_text(text)
    (DOCS / "join-cost.svg").write_text(plot(found["joins"]))
    print(f"bench: wrote {DOCS / 'benchmarks.md'}", file=sys.stderr)
    return 0


def plot(joins: dict[str, Any]) -> str:
    """Both curves as SVG, on a logarithmic scale, in times of our own Join with one endpoint."""
    from math import log10  # noqa: PLC0415

    width, height, left, bottom, above = 640, 360, 100, 56, 50
    sizes = [int(size) for size in joins["canwharf"]]
    unit = joins["canwharf"][str(sizes[0])]["join"]["median"]
    curves = {
        name: [(int(size), row["join"]["median"] / unit) for size, row in joins[name].items()]
        for name in ("canwharf", "yardstick")
    }
    top = max(value for points in curves.values() for _size, value in points)
    decades = int(log10(top)) + 1

    def place(size: float, value: float) -> str:
        x = left + (width - left - 20) * size / max(sizes)
        y = height - bottom - (height - bottom - above) * max(log10(value), 0) / decades
        return f"{x:.0f},{y:.0f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="8" y="20" font-size="14">Cost of a Join</text>',
        f'<text x="8" y="37" fill="#555">{_UNIT}</text>',
        f'<text x="{left}" y="{height - 12}" fill="#555">{_AXIS}</text>',
    ]
    for decade in range(decades + 1):
        x, y = place(0, 10**decade).split(",")
        parts.append(f'<line x1="{x}" x2="{width - 20}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 8}" y="{int(y) + 4}" text-anchor="end">{10**decade:,} times</text>'
        )
    for size in sizes:
        x, y = place(size, 1).split(",")
        parts.append(f'<text x="{x}" y="{int(y) + 18}" text-anchor="middle">{size}</text>')
    looks = (("canwharf", "#0a6"), ("yardstick: ip and cangw", "#c30"))
    for points, (words, colour) in zip(curves.values(), looks, strict=True):
        path = " ".join(place(*point) for point in points)
        parts += [
            '<circle cx="{}" cy="{}" r="3" fill="{}"/>'.format(*place(*point).split(","), colour)
            for point in points
        ]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = place(*points[-1]).split(",")
        parts.append(
            f'<text x="{x}" y="{int(y) - 8}" text-anchor="end" fill="{colour}">{words}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    sys.exit(main())
