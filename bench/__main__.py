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

from bench.spread import around
from bench.traffic import STEADY
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
            f"start to first answer, {stored} networks stored",
            f"{ratio['median']:.1f} times",
            f"a bare interpreter's start beside it; at most 5; {around(ratio)}",
        )
        for stored, ratio in found["start"].items()
    ]
    for size in theirs:
        bar = {"10": "at least 20; ", "40": "at least 60; "}.get(size, "")
        for call, words, said in (
            ("join", "Join", bar),
            ("both", "CreateEndpoint + Join", ""),
            ("leave", "Leave + DeleteEndpoint", ""),
        ):
            one, other = ours[size][call], theirs[size][call]
            rows.append((f"{words}, endpoint number {size}", *_faster(one, other, said)))
        rows.append(
            (
                f"CreateEndpoint + Join, endpoint number {size}, by a daemon just restarted",
                *_faster(ours[size]["restarted"], theirs[size]["both"], "not restarted; "),
            )
        )
    rows.append(
        (
            "each endpoint more on the bus makes a Join dearer by",
            " and ".join(f"{slope(joins[name]):.1%} ({name})" for name in joins),
            "its own cost with one endpoint",
        )
    )
    cold, recovery = found["cold"], found["recovery"]
    many = f"{recovery['networks']} networks times {recovery['endpoints']} endpoints"
    size = f"{recovery['networks']} networks times {recovery['endpoints']} endpoints"
    rows.append(
        (
            "CreateEndpoint + Join after a reboot, bus interface missing too",
            *_faster(cold["canwharf"], cold["yardstick"]),
        )
    )
    rows.append(
        (
            f"recovery of {many}, Joins in parallel, from the start",
            *_faster(recovery["canwharf"], recovery["yardstick"], "at least 20; "),
        )
    )
    rows.append(
        ("resident memory, 40 endpoints", f"{rest['rss_kb'] / 1024:.1f} MB", "at most 24, aim 18")
    )
    rows.append(
        (
            f"idle for {rest['seconds']} seconds",
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
                rate, latency = row[way]["rate"], row[way]["latency"]
                lost = f"lost {row[way]['lost']}, plain {row['plain']['lost']}"
                spreads = f"rate {around(rate)}, time {around(latency)}"
                rows.append(
                    (
                        f"{kind} frames, container to {to}",
                        f"{rate['median']:.2f} of the rate, {latency['median']:.2f} of the time",
                        f"a plain vcan in the same round; {lost}; {spreads}",
                    )
                )
                held, plain = row[way]["steady"], row["plain"]["steady"]
                rates = f"held {held['rate']:.0f} a second, plain {plain['rate']:.0f}"
                keeps = plain["rate"] >= STEADY * 0.99 and not plain["lost"]
                judge = "a plain vcan, which keeps up" if keeps else "a plain vcan, which does not"
                steady.append(
                    (
                        f"{kind} frames at {STEADY} a second, container to {to}",
                        f"lost {held['lost']:.0f}",
                        f"{judge}: lost {plain['lost']:.0f}; {rates}",
                    )
                )
    rows += steady
    lines = "\n".join(f"| {figure} | {value} | {against} |" for figure, value, against in rows)
    return f"""# Benchmarks

Made by `make bench` in one boot of a guest ({suite}, kernel {versions["kernel"]}, Python
{versions["python"]}, {versions["machine"]}); run it to repeat it. Machines differ, and a guest's
system calls are slow, so every figure is a ratio against a yardstick that was measured in the same
boot: the median of repeats. Behind it stands how far the repeats lay from it, as parts of the
median, and how many they were.

The yardstick for calls is `bench/yardstick.py`: the same server, which executes `ip` and `cangw`
once a change, as this driver's ancestors do. It checks nothing and keeps nothing on disk. Ours
writes its state when an endpoint is created and deleted, here into a file system in memory: a
disk adds what its fsync costs.

| figure | result | against |
| --- | --- | --- |
{lines}

The cost of a Join against the number of endpoints on the bus, in times of
canwharf's own with one endpoint:

![Cost of a Join against the number of endpoints on the bus](join-cost.svg)
"""


def _faster(ours: dict[str, Any], theirs: dict[str, Any], bar: str = "") -> tuple[str, str]:
    """Two cells of a row: how many times faster, and against what."""
    ratio = theirs["median"] / ours["median"]
    return f"{ratio:.0f} times faster", (
        f"the yardstick; {bar}ours {around(ours)}, yardstick {around(theirs)}"
    )


def slope(rows: dict[str, Any]) -> float:
    """What one endpoint more adds to a Join, as a part of what the first one costs."""
    costs: dict[int, float] = {int(size): row["join"]["median"] for size, row in rows.items()}
    return float(linear_regression(list(costs), list(costs.values())).slope) / costs[min(costs)]


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
