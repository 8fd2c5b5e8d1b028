"""The socket of a bus's bridge: it answers many programs, and waits for none of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from time import monotonic

import pytest

from canwharf.errors import SpanError
from canwharf.span import local, state
from canwharf.span.local import CLIENTS, OF_USER, Local, address, ask
from canwharf.span.report import HOSTS, Report
from canwharf.span.state import Host, State

LIMIT = 10.0  # seconds


@pytest.fixture
def interface() -> str:
    """A name that no other process of this machine uses."""
    return f"t{os.getpid()}"


def told(interface: str) -> State:
    hosts = {f"{number:03}{'h' * 60}": Host() for number in range(HOSTS)}
    return State("a", "x", interface, Report("0.5", 1), {"sent": 1}, hosts)


@pytest.fixture
def served(interface: str) -> Iterator[Local]:
    """One that answers in a thread, as the service does in its own."""
    opened, ended = Local(interface, lambda: told(interface)), Event()

    def serve() -> None:
        while not ended.wait(0.001):
            opened.work()

    thread = Thread(target=serve)
    thread.start()
    yield opened
    ended.set()
    thread.join()
    opened.close()


def connected(interface: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(LIMIT)
    client.connect(address(interface))
    return client


def answer(client: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionResetError):  # it left something unread
        while share := client.recv(1 << 16):
            received += share
    return received


@pytest.mark.usefixtures("served")
def test_a_program_is_told_the_state(interface: str) -> None:
    assert ask(interface) == ask(interface) == told(interface)


@pytest.mark.usefixtures("served")
def test_a_bus_has_one_bridge(interface: str) -> None:
    with pytest.raises(SpanError, match="another process connects this bus"):
        Local(interface, lambda: told(interface))


def test_the_one_bridge_knows_of_a_second_one(
    interface: str, served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as it tries."""
    assert served.rival is None
    with pytest.raises(SpanError):
        Local(interface, lambda: told(interface))
    end = monotonic() + LIMIT
    while served.rival is None:
        assert monotonic() < end
    assert served.rival == os.getpid()
    monkeypatch.setattr(local, "PATIENCE", 0.0)
    assert served.rival is None


def test_the_name_is_free_again_afterwards(interface: str) -> None:
    for _turn in range(2):
        Local(interface, lambda: told(interface)).close()
    with pytest.raises(SpanError, match="no 'canwharf span' answers"):
        ask(interface)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "question", [b"\n", b"{\n", b"[]\n", b'{"ask": "tea"}\n', b"x" * 1000, b"\xff\n", b"{}\n{}\n"]
)
def test_what_is_no_question_is_refused(interface: str, question: bytes) -> None:
    with connected(interface) as client:
        client.sendall(question)
        assert answer(client).startswith(b'{"error": ')
    assert ask(interface) == told(interface)


@pytest.mark.usefixtures("served")
def test_programs_that_go_away_or_read_nothing_disturb_no_other(interface: str) -> None:
    """More than there may be at once, one after the other."""
    with connected(interface) as silent:
        silent.sendall(b'{"ask": "state"}\n')  # its answer is more than it takes unread
        for _turn in range(CLIENTS + 1):
            with connected(interface) as hasty:
                hasty.sendall(b'{"ask":')
            assert ask(interface) == told(interface)
        assert state.decode(answer(silent)) == told(interface)


@pytest.mark.usefixtures("served")
def test_programs_that_do_nothing_make_room_and_never_take_that_of_another_user(
    interface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = [connected(interface) for _client in range(OF_USER)]
    with pytest.raises(SpanError, match="refuses to answer: other programs ask already"):
        ask(interface)
    with monkeypatch.context() as another:
        another.setattr(local, "_peer", lambda _connected: (1, 1 << 31))
        assert ask(interface) == told(interface)
    monkeypatch.setattr(local, "PATIENCE", 0.0)
    assert ask(interface) == told(interface)
    for each in idle:
        each.close()


@contextmanager
def stranger(interface: str, act: Callable[[socket.socket], object]) -> Iterator[None]:
    """Another process that took the name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address(interface))
        listening.listen()

        def serve() -> None:
            client, _address = listening.accept()
            with client:
                act(client)

        thread = Thread(target=serve)
        thread.start()
        yield
        thread.join()


def flood(client: socket.socket) -> None:
    try:
        while True:
            client.sendall(b" " * (1 << 16))
    except OSError:  # the program has enough
        pass


def test_what_a_stranger_answers_is_checked(
    interface: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        stranger(interface, flood),
        pytest.raises(SpanError, match="too much for the state of a bridge"),
    ):
        ask(interface)
    other = state.encode(told("can9"))
    with (
        stranger(interface, lambda client: client.sendall(other)),
        pytest.raises(SpanError, match="is of can9"),
    ):
        ask(interface)
    monkeypatch.setattr(local, "DEADLINE", 0.1)
    with (
        stranger(interface, lambda client: client.recv(1 << 16) and client.recv(1)),
        pytest.raises(SpanError, match=r"does not answer within 0.1 s"),
    ):
        ask(interface)


def test_a_service_that_is_older_has_the_name_only(interface: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(address(interface))
        with pytest.raises(SpanError, match="older than this"):
            ask(interface)
