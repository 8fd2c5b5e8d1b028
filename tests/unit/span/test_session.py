"""Two sessions on loopback, with zenoh itself: what one host sends, the others hear once."""

from __future__ import annotations

import queue
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import monotonic

import pytest

from canwharf.errors import SetupError, SpanError
from canwharf.span.session import Send, Session
from canwharf.span.settings import Settings, check

LIMIT = 20.0  # seconds


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def endpoint() -> tuple[str, ...]:
    return (f"tcp/127.0.0.1:{free_port()}",)


class Heard:
    """What a session hears of the span x, in the order in which it comes."""

    def __init__(self, session: Session) -> None:
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.presence: queue.Queue[tuple[str, bool]] = queue.Queue()
        session.subscribe(
            "x",
            lambda host, payload: self.messages.put((host, payload)),
            lambda host, there: self.presence.put((host, there)),
        )

    def message(self, send: Callable[[], None]) -> tuple[str, bytes]:
        """The next one that is no probe; sent again until one is heard, as a busy machine drops."""
        end = monotonic() + LIMIT
        while monotonic() < end:
            send()
            with suppress(queue.Empty):
                while True:
                    found = self.messages.get(timeout=1)
                    if found[1]:
                        return found
        raise AssertionError("none is heard")

    def probe(self, send: Send) -> None:
        """Until a message of this one is heard: who comes is told before it is sent to."""
        end = monotonic() + LIMIT
        while self.messages.empty():
            assert monotonic() < end
            send(b"")
            with suppress(queue.Empty):
                self.messages.put(self.messages.get(timeout=0.1))

    def news(self) -> tuple[str, bool]:
        return self.presence.get(timeout=LIMIT)


def opened(host: str, listen: tuple[str, ...] = (), connect: tuple[str, ...] = ()) -> Session:
    which = Settings(host, listen, connect)
    check(which)
    return Session(which)


def test_each_hears_the_other_once_in_order_and_not_itself(endpoint: tuple[str, ...]) -> None:
    with opened("a", listen=endpoint) as a, opened("b", connect=endpoint) as b:
        heard = Heard(a), Heard(b)
        sends = a.publish("x"), b.publish("x")
        assert (heard[0].news(), heard[1].news()) == (("b", True), ("a", True))
        heard[0].probe(sends[1])
        heard[1].probe(sends[0])
        numbers = count(1)
        for other, each, send in zip("ba", heard, reversed(sends), strict=True):
            found = [each.message(lambda: send(b"%d" % next(numbers))) for _ in range(100)]  # noqa: B023
            assert {host for host, _ in found} == {other}
            heard_numbers = [int(payload) for _, payload in found]
            assert heard_numbers == sorted(set(heard_numbers))


def test_another_span_is_not_heard(endpoint: tuple[str, ...]) -> None:
    with opened("a", listen=endpoint) as a, opened("b", connect=endpoint) as b:
        heard = Heard(a)
        other, send = b.publish("y"), b.publish("x")
        assert heard.news() == ("b", True)
        heard.probe(send)
        other(b"of y")
        assert heard.message(lambda: send(b"of x")) == ("b", b"of x")


def test_a_host_that_ends_and_comes_back_is_told_and_heard(endpoint: tuple[str, ...]) -> None:
    with opened("a", listen=endpoint) as a:
        for run in (b"first", b"second"):
            heard = Heard(a)
            with opened("b", connect=endpoint) as b:
                send = b.publish("x")
                assert heard.news() == ("b", True)
                heard.probe(send)
                assert heard.message(lambda: send(run)) == ("b", run)  # noqa: B023
            assert heard.news() == ("b", False)


def test_a_host_may_connect_before_the_other_one_listens(endpoint: tuple[str, ...]) -> None:
    with opened("b", connect=endpoint) as b:
        b.publish("x")
        with opened("a", listen=endpoint) as a:
            assert Heard(a).news() == ("b", True)


def test_another_host_of_the_same_name_is_not_heard_and_counted(endpoint: tuple[str, ...]) -> None:
    with opened("a", listen=endpoint) as a, opened("a", connect=endpoint) as double:
        with opened("b", connect=endpoint) as b:
            heard = Heard(a)
            wrong, right = double.publish("x"), b.publish("x")
            assert heard.news() == ("b", True)
            heard.probe(right)
            end = monotonic() + LIMIT
            while not a.repeated:
                assert monotonic() < end
                wrong(b"of the double")
                assert heard.message(lambda: right(b"of b")) == ("b", b"of b")
        while not heard.messages.empty():
            assert heard.messages.get() == ("b", b"of b")


def test_without_listen_nothing_listens(endpoint: tuple[str, ...]) -> None:
    """Zenoh's own default is a listener on all addresses, and multicast; a router's, too."""
    before = listeners()
    with opened("b", connect=endpoint), Session(Settings("b", connect=endpoint, relay="a")):
        assert listeners() == before
    with opened("a", listen=endpoint):
        (inode,) = listeners() - before
        assert inode


def listeners() -> set[str]:
    """The inodes of this process's sockets that listen on TCP, or on any port of UDP."""
    own = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    found = set()
    for table, states in (("tcp", {"0A"}), ("tcp6", {"0A"}), ("udp", {"07"}), ("udp6", {"07"})):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] in states and f"socket:[{fields[9]}]" in own:
                found.add(fields[9])
    return found


def test_an_address_that_is_taken_is_an_error_in_its_words(endpoint: tuple[str, ...]) -> None:
    with (
        opened("a", listen=endpoint),
        pytest.raises(SpanError, match=r"open a session: .* Address already in use"),
    ):
        opened("b", listen=endpoint)


def test_a_certificate_that_is_missing_is_an_error_in_its_words(tmp_path: Path) -> None:
    listen, none = (f"tls/127.0.0.1:{free_port()}",), str(tmp_path / "none.pem")
    settings = Settings("a", listen, ca=none, certificate=none, key=none)
    with pytest.raises(SpanError, match="No such file"):
        Session(settings)


def test_without_zenoh_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zenoh", None)
    with pytest.raises(SetupError, match=r"not installed: pip install 'canwharf\[span\]'"):
        Session(Settings("a"))


def test_each_host_of_a_span_answers(endpoint: tuple[str, ...]) -> None:
    """Not the one that asks, and not those of another span."""
    with opened("a", listen=endpoint) as a, opened("b", connect=endpoint) as b:
        for name, session in (("a", a), ("b", b)):
            session.answer("x", lambda name=name: f"of {name}".encode())  # type: ignore[misc]
            session.answer("y", lambda: b"of another span")
        answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        first: list[tuple[str, bytes]] = []
        end = monotonic() + LIMIT
        while not first:
            assert monotonic() < end
            a.ask("x", lambda host, payload: answers.put((host, payload)))
            with suppress(queue.Empty):
                first.append(answers.get(timeout=0.5))
        assert {*first, *answers.queue} == {("b", b"of b")}
