"""The pictures of the benchmarks: a reader sees both shapes, each cost where it belongs."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from bench.pictures import plots
from bench.plot import Plot


def grown(cost: float) -> dict[str, float]:
    """One row of a run, with this for each cost."""
    return dict.fromkeys(("join", "checked"), cost)


FOUND = {
    "scale": {
        "growth": {
            "canwharf": {"1": grown(0.001), "1000": grown(0.0012)},
            "mesh": {"1": grown(0.001), "100": grown(0.02)},
        },
        "frames": {
            "8": {"plain": 10, "canwharf": 11, "mesh": 10.5},
            "200": {"plain": 60, "canwharf": 75, "mesh": 65},
        },
    },
    "joins": {
        "canwharf": {"1": {"join": {"median": 0.001}}},
        "yardstick": {"1": {"join": {"median": 0.04}}, "100": {"join": {"median": 1.0}}},
    },
}


def test_a_join_a_frame_and_a_start_have_a_picture_of_both_shapes() -> None:
    found = plots(FOUND)
    assert found.keys() == {"join-cost.svg", "frame-cost.svg", "restart-cost.svg"}
    for plot in found.values():
        assert {"linear bus", "mesh"} <= plot.curves.keys()
        texts = [each.text for each in ET.fromstring(plot.svg()).iter() if each.text]
        assert {plot.title, *plot.curves} <= set(texts)


def test_costs_are_in_times_of_a_linear_buss_own() -> None:
    join = plots(FOUND)["join-cost.svg"].curves
    assert [round(cost, 3) for _size, cost in join["linear bus"]] == [1.0, 1.2]
    assert [round(cost, 3) for _size, cost in join["mesh"]] == [1.0, 20.0]
    assert [round(cost) for _size, cost in join["ip and cangw"]] == [40, 1000]


def test_a_curve_ends_at_the_corner_when_it_is_the_dearest_and_the_largest() -> None:
    svg = Plot("title", "unit", "axis", {"a": [(1, 1), (10, 10), (100, 100)]}).svg()
    [points] = re.findall(r'points="([^"]*)"', svg)
    xs, ys = zip(*(map(int, each.split(",")) for each in points.split()), strict=True)
    assert xs[1] - xs[0] == xs[2] - xs[1] > 0
    assert ys[0] - ys[1] == ys[1] - ys[2] > 0
