"""The page of the benchmarks: its headline, the goals, and the table of all figures.

Rule: the headline and the goals are taken from the table's own rows, so the two can't differ.
"""

from __future__ import annotations

from statistics import linear_regression
from typing import Any

from bench.goals import reached
from bench.span import span_rows
from bench.spread import around
from bench.traffic import STEADY

Row = tuple[str, str, str]  # a figure, its result, what it is held against

_PLAIN = "a rule of plain can-gw for each of them, from one interface"

# What a reader came for: a row of the table, and how the headline calls it.
HEADLINE = (
    ("Join, endpoint number 10", "A container joins a bus of ten"),
    ("Join, endpoint number 40", "A container joins a bus of forty"),
    ("Join, 1000 endpoints", "A container joins a bus of a thousand"),
    ("recovery of", "After a reboot, all containers at once"),
    ("start to first answer, 50", "The daemon starts and answers, with 50 networks"),
    ("resident memory", "Memory of the daemon, 40 containers"),
    ("classic frames, container to 8", "A frame to eight containers, against a plain vcan"),
)


def page(found: dict[str, Any], suite: str) -> str:
    """The page."""
    return written(rows(found), found["versions"], suite)


def rows(found: dict[str, Any]) -> list[Row]:
    """The figures of a run, in the order of the table."""
    joins, rest = found["joins"], found["rest"]
    ours, theirs = joins["canwharf"], joins["yardstick"]
    table = start_rows(found["start"])
    table += executable_rows(found["executable"])
    for size in theirs:
        bar = {"10": "at least 20; ", "40": "at least 60; "}.get(size, "")
        for call, words, said in (
            ("join", "Join", bar),
            ("both", "CreateEndpoint + Join", ""),
            ("leave", "Leave + DeleteEndpoint", ""),
        ):
            one, other = ours[size][call], theirs[size][call]
            table.append((f"{words}, endpoint number {size}", *_faster(one, other, said)))
        bar = "at least 60; " * (size == "40") + "not restarted; "
        table.append(
            (
                f"CreateEndpoint + Join, endpoint number {size}, by a daemon just restarted",
                *_faster(ours[size]["restarted"], theirs[size]["both"], bar),
            )
        )
    table.append(
        (
            "each endpoint more on the bus makes a Join dearer by",
            " and ".join(f"{slope(joins[name]):.1%} ({name})" for name in joins),
            "its own cost with one endpoint",
        )
    )
    cold, recovery = found["cold"], found["recovery"]
    many = f"{recovery['networks']} networks times {recovery['endpoints']} endpoints"
    size = f"{recovery['networks']} networks times {recovery['endpoints']} endpoints"
    table.append(
        (
            "CreateEndpoint + Join after a reboot, bus interface missing too",
            *_faster(cold["canwharf"], cold["yardstick"]),
        )
    )
    table.append(
        (
            f"recovery of {many}, Joins in parallel, from the start",
            *_faster(recovery["canwharf"], recovery["yardstick"], "at least 20; "),
        )
    )
    table.append(
        ("resident memory, 40 endpoints", f"{rest['rss_kb'] / 1024:.1f} MB", "at most 24, aim 18")
    )
    table.append(
        (
            f"idle for {rest['seconds']} seconds",
            f"{rest['cpu_seconds']:.2f} CPU s, {rest['wakeups']} wake-ups",
            "none",
        )
    )
    table += scale_rows(found["scale"])
    table += policy_rows(found["policies"])
    steady = []
    for row in found["traffic"]:
        for way in ("containers", "host"):
            if way in row:
                kind = "FD" if row["fd"] else "classic"
                to = f"{row['receivers']} container(s)" if way == "containers" else "the host"
                rate, latency = row[way]["rate"], row[way]["latency"]
                lost = f"lost {row[way]['lost']}, plain {row['plain']['lost']}"
                spreads = f"rate {around(rate)}, time {around(latency)}"
                table.append(
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
    return [*table, *steady, *span_rows(found["span"])]


def start_rows(found: dict[str, Any]) -> list[Row]:
    """The daemon's start to its first answer, by the number of networks in its state."""
    return [
        (
            f"start to first answer, {stored} networks stored",
            f"{seconds / found['bare']:.1f} times",
            f"a bare `python3 -IS`; at most 2.2; the shortest of {found['repeats']} of each",
        )
        for stored, seconds in found["first"].items()
    ]


def executable_rows(found: dict[str, Any]) -> list[Row]:
    """What the executable of Podman and CNI costs, for each of the two."""
    shortest = f"the shortest of {found['repeats']} of each"
    return [
        (
            f"a call by the executable of {name}, from its start to its end",
            f"{seconds / found['bare']:.1f} times",
            f"the start of a bare `python3 -I -S`; at most 3; {shortest}",
        )
        for name, seconds in found["calls"].items()
    ]


def scale_rows(found: dict[str, Any]) -> list[Row]:
    """What grows with a bus: each cost in times of the same of a linear bus with one endpoint."""
    ours, mesh = found["growth"]["canwharf"], found["growth"]["mesh"]
    table: list[Row] = []
    for what, words, bar in (
        ("join", "Join", "; at most 1.5"),
        ("checked", "all that exists is checked after a start", ""),
        ("first", "CreateEndpoint + Join, the first calls after a start", ""),
        ("status", "`canwharf status`", ""),
    ):
        unit = ours["1"][what]
        for size, row in ours.items():
            other = f"; a mesh {mesh[size][what] / unit:.1f} times" if size in mesh else ""
            table.append(
                (
                    f"{words}, {size} endpoints on a linear bus",
                    f"{row[what] / unit:.2f} times",
                    f"its cost with one endpoint{bar}{other}",
                )
            )
    table += [
        (
            f"resident memory after a start, {size} endpoints on a linear bus",
            f"{row['rss_kb'] / 1024:.1f} MB",
            ("at most 30" if size == "1000" else "no limit")
            + (f"; a mesh {mesh[size]['rss_kb'] / 1024:.1f} MB" if size in mesh else ""),
        )
        for size, row in ours.items()
    ]
    if largest := ours.get("1000"):
        table += [
            (f"seconds of {words}, 1000 endpoints on a linear bus", f"{took:.2f} s", "at most 2")
            for words, took in (
                ("a check after a start", largest["checked"]),
                ("`canwharf status`", largest["status"]),
            )
        ]
    table.append(
        ("resident memory, no endpoint", f"{found['rest_kb'] / 1024:.1f} MB", "at most 12")
    )
    table += [
        (
            f"a frame to {size} containers on a linear bus",
            f"{row['canwharf'] / row['plain']:.2f} of the time",
            f"{_PLAIN}; at most 1.3; a mesh {row['mesh'] / row['plain']:.2f}",
        )
        for size, row in found["frames"].items()
    ]
    return table


def policy_rows(found: dict[str, float]) -> list[Row]:
    """What a policy costs a frame."""
    return [
        (
            f"a frame with an id of 29 bits, {entries} ids in `can.send` and in `can.receive`",
            f"{cost / found['0']:.2f} of the time",
            "the same frame without a policy",
        )
        for entries, cost in found.items()
        if entries != "0"
    ]


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


def headline(table: list[Row]) -> list[Row]:
    """The rows of HEADLINE: what a reader calls it, and the result. Raises KeyError without one."""
    found = []
    for beginning, words in HEADLINE:
        row = next((row for row in table if row[0].startswith(beginning)), None)
        if row is None:
            raise KeyError(f"no figure begins with {beginning!r}")
        than = row[2].partition(";")[0].replace("the yardstick", "executing `ip` and `cangw`")
        found.append((words, row[1], than))
    return found


def written(table: list[Row], versions: dict[str, str], suite: str) -> str:
    """The page's text."""
    short = "\n".join(f"| {words} | {result} | {than} |" for words, result, than in headline(table))
    goals = "\n".join(f"| {' | '.join(row)} |" for row in reached(table))
    lines = "\n".join(f"| {figure} | {value} | {against} |" for figure, value, against in table)
    return f"""# Benchmarks

For the start of a container, canwharf takes tens to hundreds of times less time than a driver that
executes `ip` and `cangw`. A frame takes as long as on a plain vcan, as the kernel forwards it and no
program is in between. An idle daemon does nothing at all: no processor time, no wake-ups.

| | result | against |
| --- | --- | --- |
{short}

Made by `make bench` in one boot of a guest ({suite}, kernel {versions["kernel"]}, Python
{versions["python"]}, {versions["machine"]}); `make bench` repeats it.

The pictures show what grows with a bus, for a linear bus and for a mesh (see `architecture.md`).
A bus is a mesh only where the kernel lacks a module. The figures are in the table below.

![Cost of a Join against the number of endpoints on the bus](join-cost.svg)

![Cost of a frame against the number of containers on the bus](frame-cost.svg)

![Cost of a check after a start against the number of endpoints on the bus](restart-cost.svg)

## Goals

| cost | goal | reached | reason |
| --- | --- | --- | --- |
{goals}

## All figures

Machines differ, and a guest's system calls are slow, so every figure is a ratio to a yardstick that
was measured in the same boot: the median of the repeats. The range of the repeats follows, in parts of
the median, and their number. Where a cost is compared with its own on another bus, it is the smallest
of the repeats.

The yardstick for calls is `bench/yardstick.py`: the same server, which executes `ip` and `cangw`
once for each change, as earlier drivers do. It checks nothing and writes nothing to disk. canwharf
writes its state when an endpoint is created and deleted, here to a file system in memory: a disk adds
the cost of its fsync.

The last rows are of a bus across hosts (`bench/span.py`). A guest is too slow for them: two hosts are
two processes on the machine itself, with UDP sockets in the place of a bus's. `chrt -r 10` in
front keeps a machine's other work away; so it was here.

| figure | result | against |
| --- | --- | --- |
{lines}
"""
