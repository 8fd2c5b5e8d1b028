"""Asking the engine for its networks: whatever it answers, and where it does not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from canwharf.docker import engine


class Engine:
    """A listening socket whose one caller gets these bytes; it keeps what was asked."""

    def __init__(
        self, path: Path, answer: bytes, *, hold: bool = False, drip: bool = False
    ) -> None:
        self.path = str(path)
        self.asked = b""
        self.ended = False
        self._answer = answer
        self._hold = hold
        self._drip = drip
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._ended = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            caller, _address = self._listening.accept()
        except OSError:
            return  # no client connected
        with caller:
            while b"\r\n\r\n" not in self.asked:
                self.asked += caller.recv(4096)
            self.may_answer.wait(10)
            if self._drip:
                self._drop(caller)
            else:
                caller.sendall(self._answer)
            if self._hold:
                self._ended.wait(10)

    def _drop(self, caller: socket.socket) -> None:
        """Byte by byte, and the last one again and again, for half a minute; unless hung up on."""
        with suppress(OSError):
            for number in range(1500):
                caller.sendall(self._answer[number : number + 1] or self._answer[-1:])
                if self._ended.wait(0.02):
                    return
            self.ended = True

    def end(self) -> None:
        self._ended.set()
        if self._listening.fileno() < 0:
            return
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


class Engines:
    """Makes engines, and ends them."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "docker.sock"
        self._made: list[Engine] = []

    def answering(self, answer: bytes, *, hold: bool = False, drip: bool = False) -> Engine:
        self._made.append(Engine(self._path, answer, hold=hold, drip=drip))
        return self._made[-1]

    def end(self) -> None:
        for each in self._made:
            each.end()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    made = Engines(tmp_path)
    yield made
    made.end()


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    length = str(len(body)).encode()
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: " + length + b"\r\n\r\n" + body


def test_the_options_of_each_network(engines: Engines) -> None:
    """As moby tells them; a network without options has null or {}."""
    told = [
        {"Id": "n1", "Name": "bus", "Driver": "canwharf", "Options": {"can.name": "can"}},
        {"Id": "n2", "Driver": "canwharf", "Options": None},
        {"Id": "n3", "Driver": "canwharf", "Options": {}},
        {"Id": "n4", "Driver": "canwharf"},
    ]
    one = engines.answering(http(json.dumps(told).encode()))
    assert engine.networks("canwharf", path=one.path) == {
        "n1": {"can.name": "can"},
        "n2": {},
        "n3": {},
        "n4": {},
    }


def test_all_are_asked_for_and_only_this_drivers_are_taken(engines: Engines) -> None:
    """A filter would need the name that the engine has for us, and a plugin does not know it."""
    told = [
        {"Id": "n1", "Driver": "rusty_vx.can-1"},
        {"Id": "n2", "Driver": "rusty_vx.can-2"},
        {"Id": "n3", "Driver": "bridge"},
        {"Id": "n4"},
        {"Id": "n5", "Driver": None},
    ]
    one = engines.answering(http(json.dumps(told).encode()))
    assert engine.networks("rusty_vx.can-1", path=one.path) == {"n1": {}}
    assert one.asked.split(b"\r\n")[0] == b"GET /networks HTTP/1.1"
    assert b"\r\nHost: " in one.asked


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("canwharf", True),
        ("canwharf:latest", True),
        ("canwharf:0.2", True),
        ("example.org:5000/team/canwharf:0.2", True),
        ("example.org/canwharf", True),
        ("canwharf2:latest", False),
        ("canwharf/other:latest", False),
        ("other:canwharf", False),
        ("", False),
    ],
)
def test_a_managed_plugins_names(engines: Engines, name: str, ours: bool) -> None:
    """Taken for no networks at all, a lost state would be complete, and all buses removed."""
    one = engines.answering(http(json.dumps([{"Id": "n1", "Driver": name}]).encode()))
    assert engine.networks("canwharf", path=one.path) == ({"n1": {}} if ours else {})


@pytest.mark.parametrize(("driver", "known"), [("vxcan", "n1"), ("wsovalle/vxcan:latest", "n2")])
def test_another_drivers_service_is_not_its_plugin(
    engines: Engines, driver: str, known: str
) -> None:
    """Its networks may be served by a second daemon of ours, or still by that plugin."""
    told = [{"Id": "n1", "Driver": "vxcan"}, {"Id": "n2", "Driver": "wsovalle/vxcan:latest"}]
    one = engines.answering(http(json.dumps(told).encode()))
    assert engine.networks(driver, path=one.path) == {known: {}}


def test_an_answer_in_chunks(engines: Engines) -> None:
    """As Go sends what it did not measure."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    one = engines.answering(
        head + b'5\r\n[{"Id\r\n1F\r\n": "n1", "Driver": "canwharf"}]\r\n0\r\n\r\n'
    )
    assert engine.networks("canwharf", path=one.path) == {"n1": {}}


GARBAGE = {
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[",
    "no JSON": http(b"<html>"),
    "no UTF-8": http(b"\xff\xfe["),
    "an object": http(b"{}"),
    "null": http(b"null"),
    "an error": http(b'{"message": "filters: invalid"}', b"400 Bad Request"),
    "an error with a list": http(b"[]", b"500 Internal Server Error"),
    "a redirection": http(b"[]", b"301 Moved Permanently"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_answer(engines: Engines, name: str) -> None:
    """Not an empty one: it would be taken for an engine without networks."""
    assert engine.networks("canwharf", path=engines.answering(GARBAGE[name]).path) is None


def test_entries_that_are_none_are_passed_over(engines: Engines) -> None:
    """The rest of the list is good."""
    told: list[object] = [
        None,
        5,
        "n0",
        [],
        {},
        {"Id": 7},
        {"Id": "n1", "Driver": "canwharf", "Options": {"can.name": "can"}},
    ]
    one = engines.answering(http(json.dumps(told).encode()))
    assert engine.networks("canwharf", path=one.path) == {"n1": {"can.name": "can"}}


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", http(b"[]")[:-1]])
def test_an_engine_that_hangs_is_not_waited_for(engines: Engines, sent: bytes) -> None:
    """Wherever it stops."""
    before = monotonic()
    assert engine.networks("canwharf", 0.05, engines.answering(sent, hold=True).path) is None
    assert monotonic() - before < 5


DRIPPING = {
    "the head": b"HTTP/1.1 200 OK\r\nX: ",
    "the body": b"HTTP/1.1 200 OK\r\n\r\n[ ",
    "a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n[ ",
}


@pytest.mark.parametrize("part", DRIPPING)
@pytest.mark.parametrize("patient", [False, True])
def test_an_engine_that_drips_is_not_waited_for(engines: Engines, part: str, patient: bool) -> None:
    """Each byte comes in time, and the answer never: Docker's own call waits meanwhile."""
    dripping = engines.answering(DRIPPING[part], drip=True)
    ask = (
        engine.Patient("canwharf", dripping.path, 0.3)
        if patient
        else partial(engine.networks, "canwharf", 0.3, dripping.path)
    )
    assert ask() is None
    assert not dripping.ended, "it was given up before it came to its end"


def test_no_engine(tmp_path: Path) -> None:
    """It has not started yet, or never ran: no socket, or no process behind it."""
    path = tmp_path / "docker.sock"
    assert engine.networks("canwharf", path=str(path)) is None
    path.write_text("")
    assert engine.networks("canwharf", path=str(path)) is None
    path.unlink()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    assert engine.networks("canwharf", path=str(path)) is None


def test_a_boot_is_held_up_once_and_not_by_each_container(engines: Engines) -> None:
    """Docker 20.10 accepts and does not answer meanwhile; the answer is taken when it comes."""
    there = engines.answering(http(b'[{"Id": "n1", "Driver": "canwharf"}]'))
    there.may_answer.clear()
    patient = engine.Patient("canwharf", there.path, 0.3)
    started = monotonic()
    assert patient() is None
    assert monotonic() - started >= 0.3
    for _container in range(1000):
        assert patient() is None, "asked once: there is one caller"
    there.may_answer.set()
    answered = patient()
    while answered is None:
        answered = patient()
    assert answered == {"n1": {}}


def test_an_answer_to_a_question_of_long_ago_is_not_believed(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network was removed meanwhile, and another made."""
    first = engines.answering(http(b'[{"Id": "old", "Driver": "canwharf"}]'))
    first.may_answer.clear()
    patient = engine.Patient("canwharf", first.path, 0.3)
    assert patient() is None
    later = monotonic() + engine._FRESH + 1
    monkeypatch.setattr(engine, "monotonic", lambda: later)
    assert patient() is None, "it starts still: it is not waited for again, nor asked"
    first.may_answer.set()
    first.end()
    (tmp_path / "docker.sock").unlink()
    engines.answering(http(b'[{"Id": "new", "Driver": "canwharf"}]'))
    assert patient() == {"new": {}}


def test_an_engine_that_ended_in_between_is_asked_anew(engines: Engines, tmp_path: Path) -> None:
    first = engines.answering(b"")
    first.may_answer.clear()
    patient = engine.Patient("canwharf", first.path, 0.3)
    assert patient() is None
    first.may_answer.set()
    first.end()
    (tmp_path / "docker.sock").unlink()
    assert patient() is None, "Docker does not run"
    engines.answering(http(b'[{"Id": "n1", "Driver": "canwharf"}]'))
    assert patient() == {"n1": {}}
