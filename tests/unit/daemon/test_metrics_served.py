"""How the figures are served: to Prometheus, and to a crowd of strangers."""

from __future__ import annotations

import tracemalloc
from contextlib import ExitStack, closing, suppress
from time import monotonic

import pytest

from canwharf.errors import KernelError
from canwharf.kernel import gateway
from tests.unit.daemon.scraped import Scraped


def test_the_answer_is_what_prometheus_reads(scraped: Scraped) -> None:
    """And other paths get an answer that says where the metrics are."""
    _status, head, _body = scraped.ask()
    assert "content-type: text/plain; version=" in head.lower()
    assert scraped.ask("/metrics?x=1")[0] == 200
    status, _head, body = scraped.ask("/")
    assert (status, body) == (404, "the figures are at /metrics\n")
    assert scraped.ask(method="POST")[0] == 405


def test_a_kernel_that_does_not_answer_is_an_error_of_the_request(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only of this one: the daemon goes on."""

    def refuse(_requests: object) -> list[gateway.Entry]:
        raise KernelError("list", "the gateway rules", 110)

    with monkeypatch.context() as patched:
        patched.setattr(gateway, "entries", refuse)
        status, _head, body = scraped.ask()
        assert status == 500
        assert "the gateway rules" in body
    assert scraped.ask()[0] == 200


def test_an_idle_daemon_is_not_woken(scraped: Scraped) -> None:
    """A board's battery."""
    scraped.samples()
    assert scraped.expire(monotonic()) is None


@pytest.mark.parametrize(
    ("more", "status"), [("Content-Length: 1\r\n", 413), ("Transfer-Encoding: chunked\r\n", 411)]
)
def test_a_request_for_figures_has_no_body(scraped: Scraped, more: str, status: int) -> None:
    """And a refusal is words, not a driver's answer to Docker."""
    told, head, body = scraped.ask(more=more)
    assert told == status
    assert "content-type: text/plain; charset=utf-8" in head.lower()
    assert body.endswith("\n")
    assert "{" not in body


CROWD = 400
SLOW = b"GET /metrics HTTP/1.1\r\nHost: m\r\nX: " + b"x" * 15_000
HEAVY = b"GET /metrics HTTP/1.1\r\nHost: m\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200_000


@pytest.mark.parametrize("sent", [b"", b"G", SLOW, HEAVY], ids=["silent", "byte", "slow", "heavy"])
def test_a_crowd_of_strangers_takes_no_memory(scraped: Scraped, sent: bytes) -> None:
    """Whoever reaches the address may not be root; and Prometheus is served all the same."""
    scraped.ask()
    tracemalloc.start()
    with ExitStack() as open_now:
        open_now.callback(tracemalloc.stop)
        crowd = [open_now.enter_context(closing(scraped.connect())) for _one in range(40)]
        before, _peak = tracemalloc.get_traced_memory()
        for number in range(CROWD):
            caller = open_now.enter_context(closing(scraped.connect()))
            crowd.append(caller)
            with suppress(BlockingIOError, ConnectionError):
                caller.send(sent)
            scraped.step()
            if number % 100 == 0:
                assert scraped.ask()[0] == 200
        with suppress(BlockingIOError, ConnectionError):
            for caller in crowd:
                caller.send(sent)
                scraped.step()
        now, _peak = tracemalloc.get_traced_memory()
        assert scraped.kept <= 16
        assert now - before < 4_000_000
        assert scraped.ask()[0] == 200


@pytest.mark.parametrize("sent", [b"", SLOW, b"GET /metrics HTTP/1.1\r\nHost: m\r\n\r\n"])
def test_a_client_from_the_network_that_does_not_go_on_is_closed(
    scraped: Scraped, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends nothing, half of it, or does not read the answer."""
    monkeypatch.setattr(scraped.metrics, "_figures", lambda: (200, b"x" * 50_000_000))
    with scraped.connect() as caller:
        caller.sendall(sent)
        scraped.step()
        assert scraped.kept == 1
        first = scraped.expire(monotonic())
        assert first is not None
        again = scraped.expire(first)  # told, where it is not being told something else
        assert scraped.expire(again or first) is None
        assert scraped.kept == 0


def test_one_answer_a_connection(scraped: Scraped) -> None:
    """Whoever sends a thousand requests at once is not answered a thousand times."""
    with scraped.connect() as caller:
        caller.sendall(b"GET /x HTTP/1.1\r\nHost: m\r\n\r\n" * 1000)
        scraped.step()
        assert scraped.kept == 0


def test_whoever_asks_all_the_time_gets_the_same_figures(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a large bus they take a while to gather, and Docker would wait."""
    made: list[bytes] = []

    def text() -> bytes:
        made.append(b"figures")
        return b"figures"

    monkeypatch.setattr(scraped.metrics, "_text", text)
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    answers = {scraped.metrics._answer("/metrics", b"") for _one in range(100)}
    assert answers == {(200, b"figures")}
    assert len(made) == 1
    monkeypatch.setattr("time.monotonic", lambda: 1010.0)
    scraped.metrics._answer("/metrics", b"")
    assert len(made) == 2
