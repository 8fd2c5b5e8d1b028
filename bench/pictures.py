"""The pictures of a run: a Join, a frame and a start against the size of a bus, by its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.plot import Plot, Points

_NAMES = {"canwharf": "linear bus", "mesh": "mesh", "plain": "the kernel's minimum"}
_ENDPOINTS = "endpoints on the bus"


def plots(found: Mapping[str, Any]) -> dict[str, Plot]:
    """Each picture by its file's name."""
    growth, frames = found["scale"]["growth"], found["scale"]["frames"]
    smallest = min(frames, key=int)
    sent = {
        _NAMES[way]: [(int(n), row[way] / frames[smallest]["plain"]) for n, row in frames.items()]
        for way in ("canwharf", "mesh", "plain")
    }
    return {
        "join-cost.svg": Plot(
            "Cost of a Join",
            "in times of a linear bus's own with one endpoint; logarithmic",
            _ENDPOINTS,
            _grown(growth, "join") | _yardstick(found.get("joins", {})),
        ),
        "frame-cost.svg": Plot(
            "Cost of a frame to all containers",
            f"in times of the kernel's minimum with {smallest} containers; logarithmic",
            "containers on the bus",
            sent,
        ),
        "restart-cost.svg": Plot(
            "Cost of a daemon's check of all that exists, after its start",
            "in times of a linear bus's own with one endpoint; logarithmic",
            _ENDPOINTS,
            _grown(growth, "checked"),
        ),
    }


def _grown(growth: Mapping[str, Any], what: str) -> dict[str, Points]:
    unit = growth["canwharf"]["1"][what]
    return {
        _NAMES[shape]: [(int(size), row[what] / unit) for size, row in rows.items()]
        for shape, rows in growth.items()
    }


def _yardstick(joins: Mapping[str, Any]) -> dict[str, Points]:
    """The yardstick's Joins; those of a run of its own have a unit of their own."""
    if not joins:
        return {}
    unit = joins["canwharf"]["1"]["join"]["median"]
    rows = joins["yardstick"].items()
    return {"ip and cangw": [(int(n), row["join"]["median"] / unit) for n, row in rows]}
