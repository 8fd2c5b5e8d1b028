"""What the costs should be: the limits, what was reached, and why a limit is missed.

Rule: what was reached is read from the rows of the long table, so the two can't differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.span import LIMITS, YARDSTICKS

_START = (
    "of 68 million instructions (Python 3.11) a bare interpreter has 21, the import of our sixty "
    "modules 40, all else 7; of the 40, Python's search for their files has 15, the reading of "
    "their code 13, its execution 12. An importer of our own for their bytecode was tried: 62 million "
    "in all, and 800 system calls in the place of 1320. It would be a second way to load code. In a guest "
    "system calls are slow: on a machine's own kernel it is 2.6 to 2.7 times (3.11 to 3.13)"
)
_REST = (
    "of 13.7 (Python 3.14) a bare interpreter has 8.2; 3.4 are private (1.2 our code, 0.3 its classes), "
    "2.1 pages of the interpreter's file, which all Pythons of a machine share. Without docstrings "
    "(-OO) it is 0.2 less, with malloc as Python's allocator as much"
)
_FRAME = (
    "each frame passes the hub and the filters that drop the sender's own copy, and plain rules do "
    "not ([where it goes](architecture.md#the-hub)); a mesh has fewer steps, but its rules grow with "
    "the square"
)
_WAKE = (
    "each message wakes four threads of zenoh in each process; if frames gathered for longer, they "
    "would be later, and the yardstick cheaper, too"
)


class Goal(NamedTuple):
    """A limit: the beginning of the figure's row, what a reader calls it, and the bound.

    `least` says that it is a lower bound. `reason` is told where it is missed.
    """

    row: str
    words: str
    limit: float
    unit: str
    reason: str
    least: bool = False

    def is_reached(self, number: float) -> bool:
        """Whether a figure is within the limit, as it is printed."""
        return number >= self.limit if self.least else number <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.least else "at most"
        return f"{bound} {self.limit:g} {self.unit}"


GOALS = (
    Goal(
        "Join, 1000 endpoints",
        "A Join with 1000 endpoints, against one with 1",
        *(
            1.5,
            "times",
            "as many messages, but a copy of a larger table, and longer lists in the kernel",
        ),
    ),
    Goal(
        "seconds of a check after a start, 1000",
        "A daemon's check of 1000 endpoints after its start",
        *(2, "s", "8000 rules and 2000 links are dumped, read and compared"),
    ),
    Goal(
        "seconds of `canwharf status`, 1000",
        "`canwharf status` with 1000 endpoints",
        *(2, "s", "the program starts, and all that exists is dumped, read and compared"),
    ),
    *(
        Goal(
            f"a frame to {size} containers",
            f"A frame to {size} containers, against plain rules of can-gw",
            *(1.3, "of the time", _FRAME),
        )
        for size in (8, 40, 100, 200)
    ),
    Goal(
        "resident memory after a start, 1000",
        "Memory with 1000 endpoints",
        *(30, "MB", "a value for each link and each rule"),
    ),
    Goal(
        "resident memory, no endpoint",
        "Memory of a daemon at rest",
        *(12, "MB", _REST),
    ),
    Goal(
        "CreateEndpoint + Join, endpoint number 40, by a daemon just restarted",
        "The first container after a restart beside 40, against executing `ip` and `cangw`",
        *(60, "times faster", "all links, rules and filters are read and checked first", True),
    ),
    Goal(
        "start to first answer, 0",
        "Start to first answer, against a bare `python3 -IS`",
        *(2.2, "times", _START),
    ),
    Goal(
        "start to first answer, 50",
        "The same with 50 networks in the state",
        *(2.2, "times", _START),
    ),
    *(
        Goal(
            f"a frame to another host, {rate} a second each way, TLS, against raw UDP that {how}",
            f"A frame to another host, {rate} a second each way, against raw UDP that {how}",
            *(most, "times the processor time", reason),
        )
        for rate, most in LIMITS.items()
        for how, reason in zip(
            YARDSTICKS, ("a message is dear where few share it", _WAKE), strict=True
        )
    ),
    Goal(
        "frames to another host, 20000 a second each way, TLS",
        "Frames to another host that are lost at 20000 a second each way",
        *(0, "lost", "the machine was too busy"),
    ),
    Goal(
        "what the bridges add to the way of a lone frame, TLS",
        "What two bridges add to the way of a lone frame, against zenoh's own way",
        *(2, "times", "two processes wake for it in Python"),
    ),
    Goal(
        "memory of `canwharf span`",
        "Memory of `canwharf span` under load",
        *(35, "MB", "zenoh alone takes some 20"),
    ),
)


def reached(table: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str, str]]:
    """For each goal what it is about, the limit, what was reached, and why it is missed.

    `table` has rows of a figure, its result, and what it is held against. Raises KeyError where a
    goal has none.
    """
    found = []
    for goal in GOALS:
        result = next((row[1] for row in table if row[0].startswith(goal.row)), None)
        if result is None:
            raise KeyError(f"no figure begins with {goal.row!r}")
        number = next(word for word in result.split() if word[0].isdecimal())
        met = goal.is_reached(float(number))
        found.append((goal.words, str(goal), result, "" if met else f"missed: {goal.reason}"))
    return found
