"""A capture that a test feeds, a vehicle's frames, and the screen as text or as a picture.

python -m tests.unit.operator.watch.fake docs/watch.svg     # the picture of the page
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from canwharf.frames.buses import BusFacts
from canwharf.frames.dbc import Decoder
from canwharf.frames.elsewhere import HostFacts
from canwharf.frames.frame import Frame
from canwharf.frames.matrix import Node
from canwharf.operator.watch.reading import Reading
from canwharf.operator.watch.screen import Watch

EFF, ERR = 0x80000000, 0x20000000
MS = 1_000_000
DBC = """VERSION ""
BO_ 291 Engine: 3 ECU1
 SG_ Speed : 0|16@1+ (0.5,0) [0|0] "rpm" X
 SG_ Gear : 16|8@1+ (1,0) [0|0] "" X
VAL_ 291 Gear 1 "first" ;
"""
BUS0 = BusFacts(
    "bus0",
    tuple(Node("bus0", each) for each in ("brakes", "engine", "gateway", "wire")),
    500_000,
    0,
    "error-active",
)
# Who sends which id, each so many milliseconds.
_SENT = (
    *(("engine", 0x0C9, 10), ("engine", 0x123, 10), ("engine", 0x18FEF100 | EFF, 100)),
    *(("brakes", 0x1A0, 20), ("gateway", 0x123, 100), ("wire", 0x700, 200)),
)


class Fed:
    """A capture; what is put into `queue` is read, an error is raised."""

    def __init__(self) -> None:
        self.queue: Queue[list[Frame] | Exception] = Queue()
        self.lost: dict[tuple[str, str], int] = {}
        self.hosts: dict[tuple[str, str], HostFacts] = {}
        self.troubles: list[str] = []

    @property
    def losses(self) -> Mapping[tuple[str, str], int]:
        """Lost frames by bus and sender."""
        return self.lost

    def read(self, timeout: float | None = None) -> list[Frame]:
        """The next ones."""
        try:
            found = self.queue.get(timeout=timeout)
        except Empty:
            return []
        if isinstance(found, Exception):
            raise found
        return found

    def rest(self) -> list[Frame]:
        """All others."""
        found: list[Frame] = []
        while not self.queue.empty():
            found += self.read(0)
        return found


def decoder(directory: Path) -> Decoder:
    """That of the vehicle."""
    path = directory / "vehicle.dbc"
    path.write_text(DBC)
    return Decoder(str(path))


def drive(begin: int, end: int) -> list[Frame]:
    """What the vehicle sends between two times in milliseconds, and an error frame at the end."""
    found = [
        Frame(time * MS, "bus0", sender, can_id, _data(time, period))
        for sender, can_id, period in _SENT
        for time in range(begin, end, period)
    ]
    found.append(Frame(end * MS - 1, "bus0", "wire", 0x40 | ERR, bytes(8)))
    return sorted(found)


def _data(time: int, period: int) -> bytes:
    return bytes([time // period & 255, time // 7 & 63, 1, 4, 5, 6, 7, 8])


def reading(of: Decoder | None = None, facts: BusFacts = BUS0) -> Reading:
    """The vehicle's, two seconds long."""
    made = Reading(Fed(), lambda: {facts.bus: facts}, of)
    made.take(drive(0, 1000))
    made.look(0.0)
    made.take(drive(1000, 2000))
    made.look(1.0)
    return made


def seen(
    of: Reading,
    keys: tuple[str, ...] = (),
    size: tuple[int, int] = (100, 30),
    then: Callable[[], None] = lambda: None,
) -> str:
    """The picture of the screen after these keys, and after what `then` does."""
    return pictures(of, [keys], size, then)[0]


def pictures(
    of: Reading,
    steps: Sequence[tuple[str, ...]],
    size: tuple[int, int] = (100, 30),
    then: Callable[[], None] = lambda: None,
    *,
    slow: bool = False,
) -> list[str]:
    """The pictures of one screen, after each of these steps and after what `then` does.

    `slow`: also what is drawn once a second is drawn anew.
    """

    async def look() -> list[str]:
        app = Watch(of)
        found = []
        async with app.run_test(size=size) as pilot:
            for keys in steps:
                await pilot.press(*keys)
                then()
                if slow:
                    app._beats = 0
                app.beat()
                await pilot.pause()
                found.append(app.export_screenshot())
        return found

    return asyncio.run(look())


def text(picture: str) -> str:
    """The lines of such a picture."""
    lines: dict[float, list[tuple[float, str]]] = defaultdict(list)
    for each in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):
        if "-line-" in each.get("clip-path", ""):
            place = float(each.get("x", "0")) / 12.2, each.text or ""
            lines[float(each.get("y", "0"))].append(place)
    found = []
    for _y, pieces in sorted(lines.items()):
        line = ""
        for x, piece in sorted(pieces):
            line = line.ljust(round(x)) + piece.replace("\N{NO-BREAK SPACE}", " ")
        found.append(line.rstrip())
    return "\n".join(found)


def page(directory: Path) -> str:
    """The picture of docs/watch.md; without the fonts of another site."""
    of = reading(decoder(directory))
    of.plot((("bus0", 0x123, "engine"), "Speed"))
    of.take(drive(2000, 3000))
    of.look(2.0)
    picture = seen(of, ("down",), (104, 26))
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        Path(sys.argv[1]).write_text(page(Path(made)))
