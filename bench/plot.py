"""Curves as SVG, on logarithmic scales: what grows with a bus keeps its slope there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import NamedTuple

Points = Sequence[tuple[float, float]]  # number of endpoints or containers, cost

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 360, 100, 20, 50, 56  # pixels
_FONT = 'font-family="sans-serif" font-size="12"'
_COLOURS = ("#0a6", "#06c", "#c30")  # in the order of the curves


class Plot(NamedTuple):
    """A picture: its title, the unit of its costs, what is counted below, the curves by name."""

    title: str
    unit: str
    axis: str
    curves: Mapping[str, Points]

    def svg(self) -> str:
        """The picture as SVG."""
        costs = [cost for points in self.curves.values() for _size, cost in points]
        sizes = sorted({size for points in self.curves.values() for size, _cost in points})
        low, high = floor(log10(min(costs))), max(ceil(log10(max(costs))), 1)
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        first, last = log10(sizes[0]), log10(sizes[-1])

        def place(size: float, cost: float) -> tuple[int, int]:
            x = _LEFT + width * (log10(size) - first) / (last - first)
            return round(x), round(_TOP + height * (high - log10(cost)) / (high - low))

        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="8" y="20" font-size="14">{self.title}</text>',
            f'<text x="8" y="37" fill="#555">{self.unit}</text>',
            f'<text x="{_LEFT}" y="{_HEIGHT - 12}" fill="#555">{self.axis}</text>',
        ]
        for decade in range(low, high + 1):
            x, y = place(sizes[0], 10**decade)
            parts += [
                f'<line x1="{x}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>',
                f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{10**decade:,} times</text>',
            ]
        for size in sizes:
            x, y = place(size, 10**low)
            parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{size:g}</text>')
        for line, (name, points) in enumerate(self.curves.items()):
            parts += _curve([place(*point) for point in points], _COLOURS[line])
            x, y = _LEFT + 12, _TOP + 16 * (line + 1)  # where no curve comes that rises
            parts.append(f'<text x="{x}" y="{y}" fill="{_COLOURS[line]}">{name}</text>')
        return "\n".join([*parts, "</svg>", ""])


def _curve(places: list[tuple[int, int]], colour: str) -> list[str]:
    path = " ".join(f"{x},{y}" for x, y in places)
    return [
        *(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places),
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
    ]
