"""What a test says to its bus: run, send, expect, record."""

from __future__ import annotations

import re
from pathlib import Path
from time import time_ns

import pytest
from docker.errors import APIError

from canwharf.errors import CanwharfError, KernelError, RecordingError
from canwharf.frames.frame import BRS, Frame
from canwharf.frames.sources import unnamed
from canwharf.testing import Bus
from tests.unit.testing.fakes import (
    FakeCapture,
    FakeContainer,
    FakeDocker,
    FakeTransmitter,
    refused,
)

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000


def frame(sender: str, can_id: int, data: bytes = b"", fd: int | None = None) -> Frame:
    return Frame(time_ns(), "bus", sender, can_id, data, fd)


def test_a_frame_that_came_before_the_call_is_not_missed(
    made_bus: Bus, capture: FakeCapture
) -> None:
    """And each is returned once, the oldest first, whatever the order of the calls."""
    frames = [frame("host", 0x123, bytes([n])) for n in range(3)]
    capture.give(frame("host", 0x200), *frames)
    assert [made_bus.expect(id=0x123) for _ in frames] == frames
    assert made_bus.expect(id=0x200).id == 0x200
    with refused() as lines:
        made_bus.expect(id=0x123, within=0)
    assert lines == [
        "no frame 123 within 0 s",
        "  such frames that an earlier expect returned: 3",
        "  with this id came: host (3); the last one had: 02",
    ]


def test_an_answer_comes_after_its_question(made_bus: Bus, capture: FakeCapture) -> None:
    """What came before is not taken for it, and can still be expected."""
    capture.give(frame("host", 0x7E8, b"old"))
    before = made_bus.frames
    sent = made_bus.send(0x7E0, b"\x01")
    with refused() as lines:
        made_bus.expect(id=0x7E8, after=sent, within=0)
    assert lines[1] == "  such frames that came before `after`: 1"
    capture.give(frame("host", 0x7E8, b"new"))
    assert made_bus.expect(id=0x7E8, after=sent).data == b"new"
    assert [made_bus.expect(id=0x7E8)] == before


def test_it_waits_for_a_frame_that_comes_later(made_bus: Bus, capture: FakeCapture) -> None:
    """The wait ends with the frame, and not with the time."""
    made_bus.run("can-utils", name="ecu1")
    capture.give(frame("endpoint of another", 0x1))
    made_bus.network.reload = lambda: capture.give(frame(unnamed("0" * 64), 0x5))
    assert made_bus.expect(id=0x5, within=3600).sender == "ecu1"


def test_an_id_of_29_bits_is_another_id(made_bus: Bus, capture: FakeCapture) -> None:
    """Above 7FF an id has 29 bits by itself."""
    capture.give(frame("host", 0x123 | EFF, b"long"), frame("host", 0x1FFFFFFF | EFF))
    with refused() as lines:
        made_bus.expect(id=0x123, within=0)
    assert lines[1:] == [
        "  no frame had this id",
        "  frames with this id of 29 bits, which is another id: 1",
    ]
    assert made_bus.expect(id=0x123, extended=True).data == b"long"
    assert made_bus.expect(id=0x1FFFFFFF).extended


def test_an_error_frame_is_no_frame_that_was_sent(made_bus: Bus, capture: FakeCapture) -> None:
    """Its classes are not an id; it is in the list of all frames."""
    capture.give(frame("wire", 0x004 | ERR, bytes(8)))
    with refused() as lines:
        made_bus.expect(id=0x004, within=0)
    assert lines[1] == "  nothing was sent on the bus"
    assert [each.error for each in made_bus.frames] == [True]


def test_the_data_must_be_these(made_bus: Bus, capture: FakeCapture) -> None:
    """A remote frame has none, though the kernel shows as many zeros as it asks for."""
    capture.give(
        frame("host", 0x10 | RTR, bytes(2)), frame("host", 0x10, b"\1"), frame("host", 0x10)
    )
    with refused() as lines:
        made_bus.expect(id=0x10, data=bytes(2), within=0)
    assert lines[0] == "no frame 010 with the data 00 00 within 0 s"
    assert made_bus.expect(data=b"").data == b""
    assert made_bus.expect(where=lambda each: each.data[:1] == b"\1").data == b"\1"
    with pytest.raises(TypeError):
        made_bus.expect(data=5, within=0)  # type: ignore[arg-type]


def test_what_is_sent_is_what_was_said(made_bus: Bus, capture: FakeCapture) -> None:
    del capture
    made_bus.send(0x123, b"\x01")
    made_bus.send(0x123, extended=True)
    made_bus.send(0x800, bytes(12), fd=True)
    made_bus.send(0x1, brs=True)
    assert [each[3:] for each in FakeTransmitter.sent] == [
        (0x123, b"\x01", None),
        (0x123 | EFF, b"", None),
        (0x800 | EFF, bytes(12), 0),
        (0x1, b"", BRS),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"id": 0x20000000}, "an id is from 0 to 0x1FFFFFFF"),
        ({"id": 0x800, "extended": False}, "an id of 11 bits is at most 0x7FF"),
        ({"id": 1, "data": bytes(9)}, "9 bytes: more than 8 need fd=True"),
        ({"id": 1, "data": bytes(9), "fd": True}, "9 bytes: a CAN FD frame has 0 to 8, 12, 16"),
    ],
)
def test_what_no_frame_can_have_is_refused(
    made_bus: Bus, arguments: dict[str, int], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        made_bus.send(**arguments)  # type: ignore[arg-type]


def test_a_sender_is_called_as_in_run(made_bus: Bus, capture: FakeCapture) -> None:
    """Its first frames come before Docker tells its name; a new start makes a new endpoint."""
    capture.give(frame(unnamed("0" * 64), 0x100))
    made_bus.run("registry:5000/team/ecu:1.2")
    assert made_bus.expect(sender="ecu").id == 0x100
    again = {"EndpointID": "e" * 64, "Name": f"{made_bus.name}-ecu"}
    others = {"EndpointID": "f" * 64, "Name": "compose-ecu2-1"}
    gateway = {"EndpointID": "a" * 64, "Name": f"{Bus().name}-gateway"}  # of another bus
    made_bus.network.attrs["Containers"] = {"1": again, "2": others, "3": gateway}
    capture.give(*(frame(unnamed(each * 64), 0x101) for each in "efa"))
    assert made_bus.expect(sender="ecu").id == 0x101
    assert made_bus.expect(sender="compose-ecu2-1").id == 0x101
    assert made_bus.expect(sender="gateway").id == 0x101


def test_a_container_that_has_ended_has_sent_what_came_meanwhile(
    made_bus: Bus, docker: FakeDocker, capture: FakeCapture
) -> None:
    """Docker does not know its endpoint any more."""
    capture.give(frame("endpoint of another", 0x99))
    assert len(made_bus.frames) == 1

    class Short(FakeContainer):
        def reload(self) -> None:
            capture.give(frame("endpoint 123456789abc", 0x100))

    docker.next.append(Short("", "1" * 64, status=3))
    made_bus.run("can-utils", name="once")
    assert made_bus.expect(id=0x100).sender == "once"
    assert made_bus.expect(id=0x99).sender == "endpoint of another"
    with refused() as lines:
        made_bus.expect(sender="once", within=0)
    assert lines[-2:] == ["  once sent: 100 (1)", "  the container once has ended with status 3"]


def test_a_sender_that_there_is_not_is_told(made_bus: Bus) -> None:
    made_bus.run("can-utils", name="ecu1")
    with refused() as lines:
        made_bus.expect(sender="ecu\x1b2", within=0)
    assert lines == [
        "no frame from ecu?2 within 0 s",
        "  nothing was sent on the bus",
        "  no container was run as ecu?2; there are: ecu1",
    ]


@pytest.mark.parametrize("name", ["host", "wire"])
def test_a_container_cannot_have_the_name_of_another_sender(made_bus: Bus, name: str) -> None:
    with pytest.raises(ValueError, match="choose another name"):
        made_bus.run("can-utils", name=name)


def test_what_docker_refuses_is_one_sentence(made_bus: Bus, docker: FakeDocker) -> None:
    """And not the pages of its SDK's traceback."""
    docker.next.append(APIError("400 Client Error", explanation="no such program"))
    with pytest.raises(CanwharfError) as raised:
        made_bus.run("my-ecu")
    assert str(raised.value) == "Docker cannot run a container of my-ecu: no such program"
    assert raised.value.__context__ is None


def test_all_is_removed_though_something_fails(docker: FakeDocker, capture: FakeCapture) -> None:
    """The containers, the network; and the failure is told."""
    with pytest.raises(KernelError, match="read frames"), Bus() as bus:  # noqa: PT012
        bus.run("can-utils", name="ecu1")
        bus.run("can-utils", name="ecu2")
        capture.give(KernelError("read frames of", "bus", 5))
        bus.frames  # noqa: B018 - when it is read, the error has come
    assert [each.removed for each in docker.made.values()] == [True, True]
    assert docker.network_gone


def test_what_fails_while_it_listens_is_raised_where_the_test_waits(
    docker: FakeDocker, capture: FakeCapture
) -> None:
    """Once: the end of the test does not fail for it again."""
    with Bus() as bus:
        capture.give(KernelError("read frames of", "bus", 5))
        with pytest.raises(KernelError):
            bus.expect(within=3600)
    assert docker.network_gone


def test_a_bus_has_names_of_its_own(docker: FakeDocker, capture: FakeCapture) -> None:
    """Else two tests that run side by side would hear each other."""
    del capture
    with Bus({"can.bandwidth": 500000}, test="test_a.py::test_b") as bus:
        assert docker.options["name"] == bus.name
        options = docker.options["options"]
        assert options == {
            "can.interface": bus.interface,
            "can.name": "can",
            "can.bandwidth": "500000",
        }
        assert len(bus.interface) <= 15
        assert docker.options["labels"] == {"canwharf.test": "test_a.py::test_b"}
    assert {Bus().name, Bus().interface}.isdisjoint({bus.name, bus.interface})


def test_a_recording_has_the_names_of_all_senders(
    made_bus: Bus, docker: FakeDocker, capture: FakeCapture, tmp_path: Path
) -> None:
    """Also of what came while a container started, or was started again; from its begin on."""

    class Early(FakeContainer):
        def reload(self) -> None:
            capture.give(frame(unnamed("e" * 64), 0x2))
            made_bus.frames  # noqa: B018 - it is read

    docker.next.append(Early("", "e" * 64))
    capture.give(frame("host", 0x1))
    assert len(made_bus.frames) == 1
    with made_bus.record(tmp_path / "drive.log"):
        made_bus.run("can-utils", name="ecu1")
        again = {"EndpointID": "f" * 64, "Name": f"{made_bus.name}-ecu1"}
        made_bus.network.attrs["Containers"] = {"1": again}
        capture.give(frame(unnamed("f" * 64), 0x3), frame("host", 0x4))
    capture.give(frame("host", 0x5))
    assert len(made_bus.frames) == 5
    lines = (tmp_path / "drive.log").read_text().splitlines()
    assert [line.split()[1:] for line in lines] == [
        ["bus/ecu1", "002#"],
        ["bus/ecu1", "003#"],
        ["bus/host", "004#"],
    ]


def test_a_docker_that_is_gone_does_not_hide_the_failure(
    made_bus: Bus, docker: FakeDocker, capture: FakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report is made without names."""

    def gone() -> None:
        raise OSError("connection refused")

    made_bus.run("can-utils", name="ecu1")
    capture.give(frame("endpoint of another", 0x1))
    monkeypatch.setattr(docker, "reload", gone)
    monkeypatch.setattr(FakeContainer, "reload", lambda _self: gone())
    monkeypatch.setattr(FakeContainer, "logs", lambda _self, **_any: gone())
    (_title, frames), (_container, state) = made_bus.report()
    assert "endpoint of another" in frames
    assert state == "it is not known: Docker does not tell (connection refused)"


def test_a_recording_that_fails_fails_the_test(
    docker: FakeDocker, capture: FakeCapture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its end, when it is known; and all is removed."""
    bus = Bus()
    with pytest.raises(RecordingError, match="full"), bus:  # noqa: PT012
        recording = bus.record(tmp_path / "drive.log")

        def write(_frames: object) -> None:
            raise RecordingError("write", "drive.log", "full")

        monkeypatch.setattr(recording._writer, "write", write)
        capture.give(frame("host", 0x1))
        assert len(bus.frames) == 1
    assert docker.network_gone


def test_frames_can_be_looked_at_when_the_bus_is_gone(
    docker: FakeDocker, capture: FakeCapture
) -> None:
    """A test that does so neither waits for ever nor writes into a file of another."""
    with Bus() as bus:
        capture.give(frame("host", 0x1))
        assert bus.expect(id=0x1)
    assert docker.network_gone
    assert [each.id for each in bus.frames] == [0x1]
    with pytest.raises(AssertionError, match="no frame 002"):
        bus.expect(id=0x2, within=0)


def test_old_frames_are_forgotten_and_counted(
    made_bus: Bus, capture: FakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long test does not take all memory."""
    monkeypatch.setattr("canwharf.testing.monitor.MOST", 100)
    for number in range(300):
        capture.give(frame("host", number))
        made_bus.frames  # noqa: B018 - it is read
    assert len(made_bus.frames) <= 100
    assert made_bus.expect().id == 300 - len(made_bus.frames)
    (_title, text), *_rest = made_bus.report()
    assert text.splitlines()[0].startswith("the last 40 of 300 frames")
