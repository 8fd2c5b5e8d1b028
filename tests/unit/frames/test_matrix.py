"""The communication matrix has each id with its sender, those that may read it, and its times."""

from __future__ import annotations

import pytest

from canwharf.frames.frame import BRS, Frame
from canwharf.frames.matrix import Line, Matrix, Node, matrix
from canwharf.frames.statistics import Statistics

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000
MS = 1_000_000


def made(*frames: Frame, nodes: tuple[Node, ...] = ()) -> Matrix:
    statistics = Statistics()
    statistics.take(frames)
    return matrix("bus0", statistics, nodes, lambda can_id: "Engine" if can_id == 0x123 else "")


def sent(can_id: int, sender: str = "ecu1", time: int = 0, size: int = 0) -> Frame:
    return Frame(time, "bus0", sender, can_id, bytes(size))


def test_a_line_is_what_was_sent() -> None:
    frames = [sent(0x123, time=each * MS, size=size) for each, size in ((0, 2), (10, 2), (30, 8))]
    (line,) = made(*frames).lines
    assert line == Line(
        *("bus0", 0x123, "Engine", "ecu1", (), 3, 15.0, 5.0, 100.0, 2, 8, "classic", ()),
    )


def test_receivers_are_the_others_that_may_read_the_id() -> None:
    nodes = (
        Node("bus0", "ecu1"),
        Node("bus0", "ecu2", "100-1FF"),
        Node("bus0", "ecu3", "all"),
        Node("bus0", "ecu4", "none"),
        Node("bus0", "wire"),
        Node("bus1", "ecu5"),
    )
    found = made(sent(0x123), sent(0x200), sent(0x123 | EFF), nodes=nodes)
    assert [each.receivers for each in found.lines] == [
        ("ecu2", "ecu3", "wire"),
        ("ecu3", "wire"),
        ("ecu3", "wire"),
    ]
    assert found.nodes == {"bus0": ("ecu1", "ecu2", "ecu3", "ecu4", "wire"), "bus1": ("ecu5",)}


def test_what_sends_is_a_node_though_it_was_not_known() -> None:
    found = made(sent(0x100, "host"), sent(0x101, "ecu9"), nodes=(Node("bus0", "ecu1"),))
    assert found.nodes == {"bus0": ("ecu1", "ecu9", "host")}
    assert [each.receivers for each in found.lines] == [("ecu1", "ecu9"), ("ecu1", "host")]


def test_two_senders_of_an_id_name_each_other() -> None:
    found = made(sent(0x123), sent(0x123, "ecu2"), sent(0x7FF), sent(0x7FF | RTR, "ecu2"))
    assert [(each.sender, each.others) for each in found.lines] == [
        ("ecu1", ("ecu2",)),
        ("ecu2", ("ecu1",)),
        ("ecu1", ()),
        ("ecu2", ()),
    ]


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (Frame(0, "b", "s", 1, b"", 0), "FD"),
        (Frame(0, "b", "s", 1, b"", BRS), "FD, BRS"),
        (Frame(0, "b", "s", 1 | RTR, b""), "remote"),
    ],
)
def test_the_kind_of_its_frames(frame: Frame, kind: str) -> None:
    assert [each.kind for each in made(frame).lines] == [kind]


def test_error_frames_are_no_line_and_are_counted() -> None:
    found = made(sent(0x40 | ERR), sent(0x40 | ERR), sent(0x20 | ERR, "wire"))
    assert (found.lines, found.errors, found.frames) == ((), {"bus0": 3}, 0)
