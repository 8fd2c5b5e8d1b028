"""`make bench`: measure in a guest, write docs/benchmarks.md and its plot.

python3 -m bench [--suite sid] [--quick] [--print]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import linear_regression
from typing import Any

from bench.traffic import STEADY
from lab.errors import LabError
from lab.guest import Guest
from lab.suites import SUITES

DOCS = Path(__file__).resolve().parent.parent / "docs"
_TIMEOUT = 3000.0  # seconds


def main() -> int:
    """Run, write."""
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--suite", default="sid", choices=SUITES)
    parser.add_argument("--quick", action="store_true", help="few repeats: does it run at all")
    parser.add_argument("--print", action="store_true", help="to standard output, change no file")
    arguments = parser.parse_args()
    print("bench: measuring in a guest; about 15 minutes (--quick: 2)", file=sys.stderr)
    words = ["python3", "-m", "bench.inside", *(["--quick"] if arguments.quick else [])]
    try:
        with Guest(arguments.suite) as guest:
            done = guest.run(words, timeout=_TIMEOUT)
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    found = json.loads(done.stdout.splitlines()[-1])
    page = table(found, arguments.suite)
    if arguments.print:
        print(page)
        return 0
    (DOCS / "benchmarks.md").write_text(page)
    (DOCS / "join-cost.svg").write_text(plot(found["joins"]))
    print(f"bench: wrote {DOCS / 'benchmarks.md'}", file=sys.stderr)
    return 0


def table(found: dict[str, Any], suite: str) -> str:
    """The page."""
    joins, versions, rest = found["joins"], found["versions"], found["rest"]
    ours, theirs = joins["canwharf"], joins["yardstick"]
    rows = [
        (
            "start to first answer, no networks stored",
            f"{found['start']['ratio']['0']:.1f} times",
            "a bare interpreter's start; at most 5",
        ),
        (
            "start to first answer, 50 networks stored",
            f"{found['start']['ratio']['50']:.1f} times",
            "the same",
        ),
    ]
    for size in theirs:
        for call, words in (("join", "Join"), ("leave", "Leave + DeleteEndpoint")):
            ratio = theirs[size][call]["median"] / ours[size][call]["median"]
            one = ours[size][call]
            around = f"{one['min'] / one['median']:.2f} to {one['max'] / one['median']:.2f}"
            rows.append(
                (
                    f"{words}, endpoint number {size}",
                    f"{ratio:.0f} times faster",
                    f"the yardstick; spread of ours {around} of its median",
                )
            )
    rows.append(
        (
            "each endpoint more on the bus makes a Join dearer by",
            " and ".join(f"{slope(joins[name]):.1%} ({name})" for name in joins),
            "its own cost with one endpoint",
        )
    )
    cold = found["cold"]
    rows.append(
        (
            "Join after a reboot, bus interface missing too",
            f"{cold['yardstick']['median'] / cold['canwharf']['median']:.0f} times faster",
            "the yardstick",
        )
    )
    recovery = found["recovery"]
    rows.append(
        (
            "recovery of 20 networks times 5 endpoints, in parallel, from the start",
            f"{recovery['yardstick'] / recovery['canwharf']:.0f} times faster",
            "the yardstick; at least 20",
        )
    )
    rows.append(
        ("resident memory, 40 endpoints", f"{rest['rss_kb'] / 1024:.1f} MB", "at most 24, aim 18")
    )
    rows.append(
        (
            "idle for a minute",
            f"{rest['cpu_seconds']:.2f} CPU s, {rest['wakeups']} wake-ups",
            "none",
        )
    )
    steady = []
    for row in found["traffic"]:
        for way in ("containers", "host"):
            if way in row:
                kind = "FD" if row["fd"] else "classic"
                to = f"{row['receivers']} container(s)" if way == "containers" else "the host"
                rate = row[way]["rate"] / row["plain"]["rate"]
                latency = row[way]["latency_us"] / row["plain"]["latency_us"]
                rows.append(
                    (
                        f"{kind} frames, container to {to}",
                        f"{rate:.2f} of the rate, {latency:.2f} of the time",
                        f"a plain vcan; lost {row[way]['lost']} (plain: {row['plain']['lost']})",
                    )
                )
                held, plain = row[way]["steady"], row["plain"]["steady"]
                rates = f"held {held['rate']:.0f} a second, plain {plain['rate']:.0f}"
                steady.append(
                    (
                        f"{kind} frames at {STEADY} a second, container to {to}",
                        f"lost {held['lost']:.0f}",
                        f"a plain vcan; lost {plain['lost']:.0f}; {rates}",
                    )
                )
    rows += steady
    lines = "\n".join(f"| {figure} | {value} | {against} |" for figure, value, against in rows)
    return f"""# Benchmarks

Made by `make bench` in one boot of a guest ({suite}, kernel {versions["kernel"]}, Python
{versions["python"]}, {versions["machine"]}); run it to repeat it. Machines differ, and a guest's
system calls are slow, so every figure is a ratio against a yardstick that was measured in the same
boot; medians of repeats. The yardstick for calls is `bench/yardstick.py`: the same server, which
executes `ip` and `cangw` once a change, as this driver's ancestors do. It checks nothing and keeps
nothing on disk.

| figure | result | against |
| --- | --- | --- |
{lines}

The cost of a Join against the number of endpoints on the bus, each as a multiple of its own cost
with one endpoint:

![cost of a Join](join-cost.svg)
"""


def slope(rows: dict[str, Any]) -> float:
    """What one endpoint more adds to a Join, as a part of what the first one costs."""
    costs: dict[int, float] = {int(size): row["join"]["median"] for size, row in rows.items()}
    return float(linear_regression(list(costs), list(costs.values())).slope) / costs[min(costs)]


def plot(joins: dict[str, Any]) -> str:
    """Both curves as SVG, in milliseconds of the guest on a logarithmic scale by ratio to ours."""
    from math import log10  # noqa: PLC0415

    width, height, left, bottom = 640, 320, 60, 40
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
        y = height - bottom - (height - bottom - 20) * max(log10(value), 0) / decades
        return f"{x:.0f},{y:.0f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for decade in range(decades + 1):
        x, y = place(0, 10**decade).split(",")
        parts.append(f'<line x1="{x}" x2="{width - 20}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="8" y="{int(y) + 4}">{10**decade} times</text>')
    for size in sizes:
        x, y = place(size, 1).split(",")
        parts.append(f'<text x="{int(x) - 6}" y="{int(y) + 18}">{size}</text>')
    for (name, points), colour in zip(curves.items(), ("#0a6", "#c30"), strict=True):
        path = " ".join(place(*point) for point in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = place(*points[-1]).split(",")
        parts.append(f'<text x="{int(x) - 70}" y="{int(y) - 8}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    sys.exit(main())
