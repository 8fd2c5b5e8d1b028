"""A fault on purpose in what a container sends, as a value, and the filters that it needs. Pure.

Rules:

- A fault is canonical texts, as they are shown and kept; `injection` reads them.
- The filters in the kernel bear a digest of the texts from which they were made: so a dump tells
  whether they are those of a fault.
- A fault is an endpoint's, so it ends with it: when the container stops, and at a reboot.
- Frames that are delayed wait in an ifb: one for all faults of a host end with the same delay. The
  digest of their filter has its index in it. So an ifb that was made anew, as somebody deleted it,
  is known by the filter that still leads to the old one.
"""

from __future__ import annotations

from canwharf.bus import naming
from canwharf.kernel import injection
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PRIME = 4294967291  # the greatest of 32 bits
_STEP = 2654435761  # from one index of an ifb to the next, so that no two digests are near
_NAMES = {  # of what happened to the frames to which a part of a fault was applied
    injection.LOSS: "lost",
    injection.CHANGE: "changed",
    injection.DELAY: "delayed",
    injection.OFF_SEND: "not_sent",
    injection.OFF_RECEIVE: "not_received",
}


class Fault(NamedTuple):
    """What goes wrong with a container's frames; `number` tells it from its others.

    Frames with these `ids` have their bytes changed by `edits`, a `loss` of them (in percent) is
    lost, and the others arrive after a `delay` (20ms, 1500us). `bus_off` stands alone: the
    container sends and receives nothing. `keep` says that it outlives the command that made it,
    `until` when it ends (monotonic seconds; 0: not by itself).
    """

    number: int
    ids: str = ""
    edits: str = ""
    loss: str = ""
    delay: str = ""
    bus_off: bool = False
    keep: bool = False
    until: float = 0.0

    @property
    def parts(self) -> tuple[int, ...]:
        """Its filters: parts of `kernel.injection`."""
        if self.bus_off:
            return injection.OFF_SEND, injection.OFF_RECEIVE
        there = {
            injection.LOSS: self.loss,
            injection.CHANGE: self.edits,
            injection.DELAY: self.delay,
        }
        return tuple(part for part, words in there.items() if words)

    @property
    def digest(self) -> int:
        """What stands for its texts in the kernel."""
        words = "bus-off" if self.bus_off else f"{self.ids}/{self.edits}/{self.loss}"
        words += f"/{self.delay}" * bool(self.delay)
        return int.from_bytes(words.encode()) % _PRIME or 1

    @property
    def microseconds(self) -> int:
        """How long its frames are delayed; 0: not at all."""
        return int(self.delay[:-2] or 0) * (1 if self.delay.endswith("us") else 1000)

    def frames(self, found: Mapping[injection.Key, injection.Found]) -> dict[str, int]:
        """How many frames it was applied to, by what happened to them."""
        nothing = injection.Found(0)
        return {_NAMES[part]: found.get((part, self.number), nothing).frames for part in self.parts}

    def __str__(self) -> str:
        """What it does, for a person."""
        if self.bus_off:
            return "bus-off"
        done = "drop" if self.loss == "100%" else f"lose {self.loss}" * bool(self.loss)
        changed = f"set {self.edits}" * bool(self.edits)
        delayed = f"delay {self.delay}" * bool(self.delay)
        return f"{self.ids}: {', '.join(filter(None, (done, changed, delayed)))}"


def delays(host_end: str, faults: Iterable[Fault]) -> dict[str, int]:
    """The ifbs in which frames of a host end wait: how long (in microseconds), by their name."""
    times = {each.microseconds for each in faults if each.delay}
    return {naming.delay(host_end, time): time for time in times}


def digests(faults: Iterable[Fault], ifbs: Mapping[int, int] = {}) -> dict[injection.Key, int]:
    """The digests of all filters that these faults need.

    `ifbs` are the indexes of the ifbs in which frames wait, by how long (in microseconds).
    """
    found = {}
    for each in faults:
        for part in each.parts:
            index = ifbs.get(each.microseconds, 0) if part == injection.DELAY else 0
            found[part, each.number] = (each.digest + index * _STEP) % _PRIME or 1
    return found


def are_injected(
    faults: Iterable[Fault],
    found: Mapping[injection.Key, injection.Found],
    ifbs: Mapping[int, int] = {},
) -> bool:
    """Whether these are the faults in the kernel, and no others; `ifbs` as in `digests`."""
    return digests(faults, ifbs) == {key: each.digest for key, each in found.items()}
