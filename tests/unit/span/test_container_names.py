"""What a host's own containers are called: told to the service that may not ask Docker."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from canwharf.bus.report import Names
from canwharf.cli import main
from canwharf.daemon.instance import Instance
from canwharf.docker import names
from canwharf.errors import SpanError
from canwharf.kernel import link
from canwharf.span import container_names, engine_names
from canwharf.span.engine_names import EngineNames

ENDPOINT = "3f2a" * 16


@pytest.fixture
def answers(tmp_path: Path) -> Callable[[bytes], str]:
    """The path of a helper's socket, which says this to each caller, and hangs up."""

    def begin(words: bytes) -> str:
        path = str(tmp_path / "socket")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        Thread(target=serve, args=(listening, words), daemon=True).start()
        return path

    return begin


def serve(listening: socket.socket, words: bytes) -> None:
    while True:
        accepted, _address = listening.accept()
        with accepted, suppress(OSError):
            accepted.sendall(words)


def test_what_is_told_is_what_is_learnt(answers: Callable[[bytes], str]) -> None:
    told = {ENDPOINT: "ecu1", ENDPOINT[::-1]: "ecu-2.1"}
    assert container_names.ask(answers(container_names.encode(told))) == told


def test_without_a_helper_nobody_tells(tmp_path: Path) -> None:
    """In a container, or where root started it: then Docker is asked itself."""
    assert container_names.ask(str(tmp_path / "none" / "socket")) is None
    (tmp_path / "gone").touch()
    with pytest.raises(SpanError, match="Connection refused"):
        container_names.ask(str(tmp_path / "gone"))


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"[]",
        b'{"version": 1}',
        b'{"version": 2, "names": {}}',
        b'{"version": 1, "names": []}',
        b'{"version": 1, "names": {"a": 1}}',
        b'{"version": 1, "names": {"a": "\\u001b[2J"}}',
        b'{"version": 1, "names": {"a": "' + b"x" * 256 + b'"}}',
        json.dumps({"version": 1, "names": {str(each): "" for each in range(8193)}}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_not_of_its_form_names_nobody(
    answers: Callable[[bytes], str], words: bytes
) -> None:
    """A garbled answer, or one of a later version. Nothing of it is in what is said of it."""
    with pytest.raises(SpanError, match=r"^what came are no names of containers$"):
        container_names.ask(answers(words))


def test_an_answer_without_end_is_left(answers: Callable[[bytes], str]) -> None:
    with pytest.raises(SpanError, match="too much"):
        container_names.ask(answers(b"x" * (container_names.LARGEST + 2)))


def test_a_helper_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_names, "DEADLINE", 0.05)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        with pytest.raises(SpanError, match="no answer in time"):
            container_names.ask(str(tmp_path / "socket"))


class Now:
    """A thread that does its work at once, and a clock that the test sets."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.asked: list[float] = []  # when, since the first question
        self.begun = 0  # threads

    def __call__(self, target: Callable[[], None], daemon: bool) -> Now:
        assert daemon, "the end of the process would wait for it"
        self.begun += 1
        target()
        return self

    def start(self) -> None:
        pass

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    made = Now()
    monkeypatch.setattr(engine_names, "Thread", made)
    monkeypatch.setattr(engine_names, "monotonic", made.monotonic)
    return made


def test_the_helper_is_asked_and_docker_where_there_is_none(
    answers: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch, now: Now
) -> None:
    """In a thread: nothing waits for it."""
    docker = Names({"n1": "bus0"}, {ENDPOINT: "by-docker"})
    monkeypatch.setattr(names, "ask", lambda _driver: docker)
    helped = EngineNames("canwharf", answers(container_names.encode({ENDPOINT: "by-helper"})))
    alone = EngineNames("canwharf", "/none")
    assert (helped(), alone()) == (Names({}, {ENDPOINT: "by-helper"}), docker)
    assert (helped.fault, alone.fault, now.begun) == ("", "", 2)


def test_why_nothing_is_known_is_said_until_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, now: Now
) -> None:
    """The names of before stay: a container that ended has sent frames."""
    told: Names | None = None
    monkeypatch.setattr(names, "ask", lambda _driver: told)
    asking = EngineNames("canwharf", str(tmp_path / "socket"))
    assert asking() is None
    assert asking.fault == "Docker does not answer, or may not be asked"
    told = Names({}, {ENDPOINT: "ecu1"})
    now.time += 2
    assert (asking(), asking.fault) == (told, "")
    (tmp_path / "socket").touch()
    now.time += 2
    assert asking() == told
    assert asking.fault == f"{tmp_path}/socket: Connection refused"


def test_of_a_container_that_docker_does_not_know_it_is_seldom_asked(
    monkeypatch: pytest.MonkeyPatch, now: Now
) -> None:
    """Each answer of the helper costs a process. For one that comes later, it is asked at once."""
    told = Names({}, {ENDPOINT: "ecu1"})

    def ask(_driver: str) -> Names:
        now.asked.append(now.time - 1000)
        return told

    monkeypatch.setattr(names, "ask", ask)
    asking = EngineNames("canwharf")
    for _second in range(100):
        asking()
        now.time += 1
    assert now.asked == [0, 1, 3, 7, 15, 31, 61, 91]
    now.time += 100
    now.asked.clear()
    told = Names({}, {ENDPOINT: "ecu1", "5": "ecu2"})
    asking()
    asking()
    now.time += 1
    asking()
    assert now.asked == [200, 201]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A host whose bus vcan0 has a span, with links of these aliases."""
    spans = tmp_path / "canwharf.spans"
    bus = {"name": "bench7", "max_age": 0}
    spans.write_text(json.dumps({"version": 1, "driver": "canwharf", "buses": {"vcan0": bus}}))
    monkeypatch.setattr(Instance, "spans", str(spans))

    def have(*aliases: str) -> None:
        links = [SimpleNamespace(alias=each) for each in aliases]
        monkeypatch.setattr(link, "links", lambda _requests: links)

    return have


def test_only_containers_on_buses_across_hosts_are_told(
    host: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service talks to the network: it learns what it sends, and no more."""
    host(
        "canwharf canwharf endpoint n1 e1 vcan0 can",
        "canwharf canwharf endpoint n2 e2 vcan1 can",
        "canwharf other endpoint n3 e3 vcan0 can",
        "canwharf canwharf endpoint n1 e4 vcan0 can",
        "canwharf canwharf endpoint n1 e5 vcan0 can",
        "canwharf canwharf bus",
        "",
    )
    containers = {f"e{number}": f"ecu{number}" for number in (1, 2, 3)}
    known: Names | None = Names({}, {**containers, "e5": "odd\n" * 100})
    monkeypatch.setattr(names, "ask", lambda _driver: known)
    assert main(["names"]) == 0
    assert container_names.decode(capsys.readouterr().out.encode()) == {"e1": "ecu1"}
    known = None
    assert main(["names"]) == 1
    assert "Docker does not answer" in capsys.readouterr().err


def test_docker_is_not_asked_without_containers_of_it(
    host: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With Podman alone it never answers; a question would start one that was stopped."""
    host("canwharf canwharf endpoint podman.bus0 ecu1.0123456789ab vcan0 can", "")

    def ask(_driver: str) -> Names:
        raise AssertionError("it was asked")

    monkeypatch.setattr(names, "ask", ask)
    assert main(["names"]) == 0
    assert container_names.decode(capsys.readouterr().out.encode()) == {}


def test_after_a_question_that_failed_another_one_comes(
    monkeypatch: pytest.MonkeyPatch, now: Now
) -> None:
    """Even if the process had no descriptor for it."""
    monkeypatch.setattr(container_names, "ask", fails := Fails())
    asking = EngineNames("canwharf", "/socket")
    asking()
    assert "Too many open files" in asking.fault
    now.time += 2
    asking()
    assert fails.count == 2


class Fails:
    """What cannot even open a socket."""

    count = 0

    def __call__(self, _path: str) -> None:
        self.count += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
