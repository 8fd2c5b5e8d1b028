"""Which frame a test waits for, and in what other frames differ from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from canwharf.frames.frame import Frame
from canwharf.frames.lines import id_text
from canwharf.kernel.uapi import CAN_EFF_FLAG, CAN_EFF_MASK, CAN_SFF_MASK
from canwharf.record import NamedTuple

_MOST = 8  # names or ids that a line lists


class Wanted(NamedTuple):
    """What a frame must have. What is None, or empty, may be anything.

    `can_id` has CAN_EFF_FLAG where 29 bits are meant. `after` is in nanoseconds since the epoch.
    """

    can_id: int | None = None
    sender: str = ""
    data: bytes | None = None
    where: Callable[[Frame], object] | None = None
    after: int | None = None

    def matches(self, frame: Frame) -> bool:
        """Whether it is such a frame. An error frame is none: it reports of the bus."""
        return not frame.error and not any(each for each in self._differences(frame))

    def _differences(self, frame: Frame) -> Iterator[bool]:
        """In the order of their costs."""
        yield not self._has_id(frame)
        yield bool(self.sender) and frame.sender != self.sender
        yield self.after is not None and frame.time <= self.after
        yield not self._has_data(frame)
        yield self.where is not None and not self.where(frame)

    def _has_id(self, frame: Frame) -> bool:
        if self.can_id is None:
            return True
        return frame.id == self.can_id & CAN_EFF_MASK and frame.extended == bool(
            self.can_id & CAN_EFF_FLAG
        )

    def _has_data(self, frame: Frame) -> bool:
        return self.data is None or (frame.data == self.data and not frame.remote)

    def __str__(self) -> str:
        text = "frame" if self.can_id is None else f"frame {id_text(self.can_id)}"
        if self.data is not None:
            text += f" with the data {self.data.hex(' ').upper() or '(none)'}"
        if self.where is not None:
            text += " for which `where` is true"
        return text + (f" from {self.sender}" if self.sender else "")

    def instead(self, frames: Iterable[Frame], returned: Iterable[Frame]) -> Iterator[str]:
        """What came in its place, a sentence each; `returned` are those expect had returned."""
        there = [frame for frame in frames if not frame.error]
        if not there:
            yield "nothing was sent on the bus"
            return
        if number := sum(map(self.matches, returned)):
            yield f"such frames that an earlier expect returned: {number}"
        always = self._replace(after=None)
        if self.after is not None and (number := sum(map(always.matches, there))):
            yield f"such frames that came before `after`: {number}"
        if self.can_id is not None:
            yield self._of_this_id([frame for frame in there if self._has_id(frame)])
            if twins := sum(_is_twin(self.can_id, frame) for frame in there):
                bits = 11 if self.can_id & CAN_EFF_FLAG else 29
                yield f"frames with this id of {bits} bits, which is another id: {twins}"
        if self.sender:
            yield self._of_this_sender([each for each in there if each.sender == self.sender])

    def _of_this_id(self, frames: list[Frame]) -> str:
        if not frames:
            return "no frame had this id"
        senders = _counted(frame.sender for frame in frames)
        last = frames[-1]
        data = "a remote request" if last.remote else last.data.hex(" ").upper() or "no data"
        return f"with this id came: {senders}; the last one had: {data}"

    def _of_this_sender(self, frames: list[Frame]) -> str:
        if not frames:
            return f"{self.sender} sent nothing"
        return f"{self.sender} sent: {_counted(id_text(frame.can_id) for frame in frames)}"


def id_of(id: int, extended: bool | None) -> int:
    """An id with CAN_EFF_FLAG where it has 29 bits: by its size, if `extended` is None.

    Raises ValueError.
    """
    if not 0 <= id <= CAN_EFF_MASK:
        raise ValueError(f"id 0x{id:X}: an id is from 0 to 0x1FFFFFFF")
    if extended is None:
        extended = id > CAN_SFF_MASK
    if id > CAN_SFF_MASK and not extended:
        raise ValueError(f"id 0x{id:X}: an id of 11 bits is at most 0x7FF")
    return id | CAN_EFF_FLAG if extended else id


def _is_twin(can_id: int, frame: Frame) -> bool:
    """Whether it has the same number as its id, and another length."""
    return frame.id == can_id & CAN_EFF_MASK and frame.extended != bool(can_id & CAN_EFF_FLAG)


def _counted(words: Iterable[str]) -> str:
    """How often each of them came: `ecu1 (12), ecu2 (3)`."""
    counts = Counter(words)
    shown = ", ".join(f"{word} ({number})" for word, number in counts.most_common(_MOST))
    return shown + (", …" if len(counts) > _MOST else "")
