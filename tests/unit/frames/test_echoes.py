"""On a mesh an adapter shows containers' frames again: they are not to be told as the wire's."""

from __future__ import annotations

from canwharf.frames.echoes import PATIENCE, Echoes
from canwharf.frames.frame import Frame

ERR = 0x20000000


def ecu(time: int, can_id: int = 0x123, data: bytes = b"\1", fd: int | None = None) -> Frame:
    return Frame(time, "bus0", "ecu1", can_id, data, fd)


def shown(time: int, can_id: int = 0x123, data: bytes = b"\1", fd: int | None = None) -> Frame:
    return ecu(time, can_id, data, fd)._replace(sender="wire")


def test_each_original_takes_one_echo_away() -> None:
    echoes = Echoes()
    echoes.expect([ecu(1), ecu(2, 0x124), ecu(3)])
    assert echoes.without([shown(4, 0x124), shown(5), shown(6), shown(7)]) == [shown(7)]
    assert echoes.without([shown(8)]) == [shown(8)]


def test_what_differs_is_of_the_wire_and_the_hosts_frames_stay() -> None:
    echoes = Echoes()
    echoes.expect([ecu(1), ecu(1, 4 | ERR)])
    others = [
        shown(2, data=b"\2"),
        shown(2, 0x124),
        shown(2, fd=0),
        shown(2, 4 | ERR),
        shown(2)._replace(sender="host"),
    ]
    assert echoes.without(others) == others
    assert echoes.without([shown(3)]) == []


def test_what_the_adapter_did_not_send_is_not_waited_for() -> None:
    echoes = Echoes()
    echoes.expect([ecu(1), ecu(2), ecu(PATIENCE)])
    assert echoes.without([shown(3)]) == []
    late = [shown(3 + PATIENCE), shown(4 + PATIENCE)]
    assert echoes.without(late) == late[1:]
