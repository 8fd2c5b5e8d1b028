"""Our filters on a host end, deleted: nothing in canwharf takes them away but with their link."""

from __future__ import annotations

from canwharf.kernel import traffic_control
from canwharf.kernel.request import Request
from canwharf.kernel.traffic_control import DAMAGED, WHOLE, Marks, Port


def delete(port: Port, found: Marks) -> list[Request]:
    """Delete what there is of ours, the mark first; clsact stays."""
    return traffic_control._deletions(port, found, (DAMAGED, WHOLE))
