"""What repeats come to: a median, and what lies around it."""

from __future__ import annotations

from statistics import median
from typing import Any


def spread(values: list[float]) -> dict[str, float]:
    """The median and what lies around it, and of how many."""
    around = {"min": min(values), "max": max(values), "repeats": len(values)}
    return {"median": median(values), **around}


def around(found: dict[str, Any]) -> str:
    """How far it lies from the median, as parts of that, and in how many repeats."""
    low, high = found["min"] / found["median"], found["max"] / found["median"]
    return f"{low:.2f} to {high:.2f} ({found['repeats']})"
