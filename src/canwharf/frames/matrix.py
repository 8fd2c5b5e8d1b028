"""Who sends what: the communication matrix, from what was sent so far. Pure.

Rules:

- A line is an id that one sender sends on one bus. Two lines with one id are a fault in CAN (see
  `conflicts`), and both name the other sender. Error frames are no messages.
- CAN does not tell which node read a frame. The receivers of a line are the other nodes on its bus
  that may receive its id (can.receive), as far as they are known.
- A node is a container on the bus, the wire of an adapter, or what sent a frame. The host is a
  node only where it sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from canwharf.bus import ids
from canwharf.frames.frame import BRS
from canwharf.frames.statistics import Row, Statistics
from canwharf.kernel.uapi import CAN_RTR_FLAG
from canwharf.record import NamedTuple

_EVERYTHING = ("", "all")


class Node(NamedTuple):
    """A node on a bus; `receive` is its can.receive, empty where it may receive everything."""

    bus: str
    name: str
    receive: str = ""


class Line(NamedTuple):
    """An id that a node sends.

    `message` is its name by a DBC file, or empty. `period` and `jitter` are in milliseconds, and
    None while there are too few frames; `rate` is in frames a second, `shortest` and `longest` in
    bytes. `others` are further senders of the id.
    """

    bus: str
    can_id: int
    message: str
    sender: str
    receivers: tuple[str, ...]
    frames: int
    period: float | None
    jitter: float | None
    rate: float
    shortest: int
    longest: int
    kind: str
    others: tuple[str, ...]


class Matrix(NamedTuple):
    """The document.

    `origin` says what it was made from, `seconds` how long that was, `begun` when, in nanoseconds
    since the epoch. `nodes` are the names by bus, in the order of their columns, `errors` the
    error frames by bus. `lost` are frames that were sent and not seen, `left_out` those for which
    there was no room. `remarks` are further sentences for its reader.
    """

    origin: str
    begun: int
    seconds: float
    nodes: Mapping[str, tuple[str, ...]]
    lines: tuple[Line, ...]
    errors: Mapping[str, int]
    lost: int = 0
    left_out: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """All frames of its lines."""
        return sum(line.frames for line in self.lines)


def matrix(
    origin: str,
    statistics: Statistics,
    nodes: Iterable[Node],
    name_of: Callable[[int], str] = lambda _can_id: "",
) -> Matrix:
    """The matrix of what was sent; `name_of` tells a message's name by its id, or nothing."""
    rows = sorted(statistics.rows.values(), key=_order)
    there = _with_senders(nodes, rows)
    passes = {each: _reads(each.receive) for nodes in there.values() for each in nodes}
    begun = min((row.first for row in rows), default=0)
    seconds = max(0, max((row.last for row in rows), default=0) - begun) / 1e9
    return Matrix(
        origin,
        begun,
        seconds,
        {bus: tuple(each.name for each in found) for bus, found in sorted(there.items())},
        tuple(
            Line(
                *(row.bus, row.can_id, name_of(row.can_id), row.sender),
                tuple(
                    each.name
                    for each in there[row.bus]
                    if each.name != row.sender and passes[each](row.can_id)
                ),
                row.count,
                None if row.period is None else row.period / 1e6,
                None if row.jitter is None else row.jitter / 1e6,
                row.count / seconds if seconds else 0.0,
                *(row.shortest, row.longest, _kind(row)),
                tuple(statistics.others(row)),
            )
            for row in rows
        ),
        {
            bus: frames
            for bus in sorted({row.bus for row in statistics.errors.values()})
            if (frames := statistics.error_frames(bus))
        },
        left_out=statistics.left_out,
    )


def _order(row: Row) -> tuple[str, int, str]:
    """By the bus, then as arbitration has it among ids of one length: the lowest first."""
    return row.bus, row.can_id, row.sender


def _with_senders(nodes: Iterable[Node], rows: Iterable[Row]) -> dict[str, list[Node]]:
    """The nodes of each bus, sorted by name; those that sent something, too."""
    found: dict[str, dict[str, Node]] = {}
    for node in nodes:
        found.setdefault(node.bus, {})[node.name] = node
    for row in rows:
        found.setdefault(row.bus, {}).setdefault(row.sender, Node(row.bus, row.sender))
    return {bus: sorted(by_name.values()) for bus, by_name in found.items()}


def _reads(words: str) -> Callable[[int], bool]:
    """Whether a node with this can.receive may receive an id. Raises OptionError."""
    if words in _EVERYTHING:
        return lambda _can_id: True
    return ids.parse("can.receive", words).passes


def _kind(row: Row) -> str:
    if row.fd is not None:
        return "FD, BRS" if row.fd & BRS else "FD"
    return "remote" if row.can_id & CAN_RTR_FLAG else "classic"
