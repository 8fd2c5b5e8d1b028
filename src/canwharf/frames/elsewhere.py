"""Frames of a bus that come by another way than this host's raw sockets: from other hosts. Pure.

Theory of operation. Where hosts share a bus, a program on each one puts the other hosts' frames on
the bus. A raw socket at the bus's interface shows them as frames of a program on the host. That
program itself knows more: who sent them, when, and which it did not send. So a capture takes what
enters at that interface from the program, which has all but its own frames there, and from its own
sockets what containers send, and error frames. Nothing is seen twice, and nothing has to be
compared.
"""

from __future__ import annotations

from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Protocol

    from canwharf.frames.frame import Frame

    class Feed(Protocol):
        """Such a program, or several. A frame's bus is its interface.

        `since`: by interface, from which time on (as `Frame.time`) all that enters there, but for
        containers' frames and error frames, comes from the feed. `hosts`: by interface and host.
        """

        @property
        def since(self) -> Mapping[str, int]:
            """See above."""

        @property
        def hosts(self) -> Mapping[tuple[str, str], HostFacts]:
            """See above."""

        @property
        def troubles(self) -> Mapping[str, str]:
            """By interface, why frames of other hosts are not fed now; "" stands for all."""

        @property
        def dropped(self) -> Mapping[str, int]:
            """By interface, the frames that came too fast for this process."""

        def fileno(self) -> int:
            """Readable when there is something to read."""

        def begin(self, interfaces: Callable[[], Collection[str]]) -> list[Frame]:
            """Find what feeds these, and wait for it a moment; what has come by then."""

        def look(self, interfaces: Callable[[], Collection[str]]) -> None:
            """Once a second, find what comes and goes. It does not wait."""

        def read(self) -> list[Frame]:
            """What has come; of one host in its order."""

        def rest(self) -> list[Frame]:
            """All that there is until now, and the end."""

        def close(self) -> None:
            """End it."""


def is_among(sender: str, names: Collection[str]) -> bool:
    """Whether it is one of these, or one on a host of which all are meant: `HOST/`."""
    host, slash, _name = sender.partition("/")
    return sender in names or bool(slash and f"{host}/" in names)


OTHERS = "other hosts"  # whose frames come too fast, and programs on this one


class HostFacts(NamedTuple):
    """Another host on a bus.

    `ahead`: so many nanoseconds its clock is ahead of this host's. `late`: frames that were too old
    for the bus; `lost`: frames that were lost on the way, of which so many are `recovered`.
    `there`: it is connected, as far as is known.
    """

    ahead: int = 0
    late: int = 0
    lost: int = 0
    recovered: int = 0
    there: bool = True
