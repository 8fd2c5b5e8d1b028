"""Two adapters on one wire, both in a span: what would go round without end is stopped."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from canwharf.span.wires import WINDOW, WINDOWS, Wires
from tests.kernel.seen import M, N, send
from tests.kernel.site import Site
from tests.kernel.test_span import Pair
from tests.kernel.wired import NAME, Plug, make
from tests.world.adapter import Adapter
from tests.world.host import wait_until
from tests.world.member import raw_socket

OTHER = "motor2"


class Cable:
    """The wire on which both adapters hang."""

    def __init__(self, *adapters: Adapter) -> None:
        self._adapters = adapters
        self._passed = [0, 0]

    def step(self) -> None:
        """Each hears what the other one sent."""
        for place, adapter in enumerate(self._adapters):
            lines = adapter.written()[self._passed[place] :]
            self._passed[place] += len(lines)
            for line in lines:
                self._adapters[1 - place].send(line)

    @property
    def frames(self) -> int:
        """How many were on it."""
        return sum(self._passed)


def test_frames_do_not_go_round_where_two_hosts_have_one_wire(
    site: Site, stack: ExitStack, plug: Plug
) -> None:
    """The later host keeps apart. Each of its containers hears the other host by the wire, once."""
    adapters = plug(), plug(OTHER)
    make(site)
    make(site, M, interface=OTHER)
    site.start(N, "e1")
    site.start(M, "f1")
    pair = Pair(stack, NAME, OTHER)
    for name, bridge in zip("ab", pair.bridges, strict=True):
        bridge.wires = Wires(name)
    near, far = pair.bridges
    cable = Cable(*adapters)

    def step() -> str:
        pair.step()
        cable.step()
        return far.wires.apart

    def until(ids: list[int], last: int) -> bool:
        step()
        try:
            ids.append(int.from_bytes(ear.recv(72)[:2], "little"))
        except BlockingIOError:
            return False
        return ids[-1] == last

    one, two = site.members(NAME)[1], site.members(OTHER)[1]
    ear = stack.enter_context(raw_socket(two))
    ear.setblocking(False)
    send(one, 0x100)
    wait_until(lambda: step() == "a")
    assert near.wires.apart == ""
    assert cable.frames > WINDOW * WINDOWS / 2
    (said,) = pair.said
    assert said.startswith("the adapter and that of a hang on one wire")
    heard: list[int] = []
    for can_id in (0x201, 0x202, 0x203):
        send(one, can_id)
        wait_until(partial(until, heard, can_id))
    assert [each for each in heard if each != 0x100] == [0x201, 0x202, 0x203]
    ended = heard.index(0x202)
    assert 0x100 not in heard[ended:]
    sent, put = far.counts["sent"], far.counts["received"]
    send(two, 0x300)
    adapters[1].wait_for("t3000")
    step()
    assert (far.counts["sent"], far.counts["received"]) == (sent, put)
