"""The HTTP server on a real unix socket, stepped by hand: the test is the loop and the clock."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from canwharf.daemon.calls import KIND, OF_USERS
from tests.fake.http import Loop


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path / "s.sock")
    yield loop
    loop.end()


def request(body: bytes = b"{}", path: str = "/X", more: str = "", method: str = "POST") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: d\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def assert_alive(loop: Loop) -> None:
    """Somebody else is still served."""
    before = len(loop.calls)
    caller = loop.caller()
    caller.send(request())
    assert caller.answers() == [(200, loop.answer)]
    assert len(loop.calls) == before + 1


def test_a_call_is_answered_and_the_connection_kept(loop: Loop) -> None:
    """Docker keeps its connection open and calls again, at once or after a day."""
    caller = loop.caller()
    for number in range(3):
        caller.send(request(str(number).encode(), f"/NetworkDriver.{number}"))
        assert caller.answers() == [(200, loop.answer)]
        assert loop.server.expire(monotonic() + 1e6) is None
    assert loop.calls == [(f"/NetworkDriver.{n}", str(n).encode()) for n in range(3)]
    assert not caller.ended()


def test_the_answer_has_dockers_content_type_and_a_length(loop: Loop) -> None:
    """Docker would refuse or wait."""
    caller = loop.caller()
    caller.send(request())
    head = caller.read_all().split(b"\r\n\r\n")[0].lower()
    assert b"content-type: application/vnd.docker.plugins.v1.1+json" in head
    assert b"content-length: 12" in head


def test_calls_that_are_sent_at_once_are_answered_in_order(loop: Loop) -> None:
    """Each with its own body, none lost."""
    caller = loop.caller()
    caller.send(b"".join(request(str(number).encode()) for number in range(20)))
    assert caller.answers() == [(200, loop.answer)] * 20
    assert [body for _path, body in loop.calls] == [str(number).encode() for number in range(20)]


def test_the_kernel_tells_the_user_of_a_call(loop: Loop, tmp_path: Path) -> None:
    """On a socket for users; on root's own nobody is asked."""
    loop.caller().send(request())
    assert loop.users == [None]
    users = Loop(tmp_path / "users.sock", OF_USERS)
    users.caller().send(request())
    assert users.users == [os.geteuid()]
    users.end()


def test_a_call_that_comes_byte_by_byte_is_answered(loop: Loop) -> None:
    """However the stream is cut."""
    caller = loop.caller()
    for byte in request(b'{"a": 1}'):
        caller.send(bytes([byte]))
    assert caller.answers() == [(200, loop.answer)]
    assert loop.calls == [("/X", b'{"a": 1}')]


def test_a_body_in_chunks_is_refused(loop: Loop) -> None:
    """Docker sends none; the answer says what to send instead."""
    caller = loop.caller()
    head = b"POST /X HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
    caller.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert "needs a Content-Length" in caller.refused(411)
    assert caller.ended()
    assert loop.calls == []
    assert_alive(loop)


def test_a_call_without_length_has_no_body(loop: Loop) -> None:
    """Plugin.Activate comes so."""
    caller = loop.caller()
    caller.send(b"POST /Plugin.Activate HTTP/1.1\r\nHost: d\r\n\r\n")
    assert caller.answers() == [(200, loop.answer)]
    assert loop.calls == [("/Plugin.Activate", b"")]


def test_a_client_that_expects_a_100_gets_it(loop: Loop) -> None:
    """`Expect: 100-continue`, as curl sends with larger bodies."""
    caller = loop.caller()
    whole = request(b"abc", more="Expect: 100-continue\r\n")
    caller.send(whole[:-3])
    assert caller.read_all().startswith(b"HTTP/1.1 100 ")
    caller.send(whole[-3:])
    assert caller.answers() == [(200, loop.answer)]


def test_half_a_body_delays_no_other_client(loop: Loop) -> None:
    """A caller that hangs must not hang every container's start."""
    slow = loop.caller()
    slow.send(request(b"abcdef")[:-3])
    assert_alive(loop)
    slow.send(b"def")
    assert slow.answers() == [(200, loop.answer)]


def test_a_body_that_is_too_large_is_refused_though_the_caller_sends_on(loop: Loop) -> None:
    """5 MB are not kept, and the caller gets to read why instead of a broken pipe."""
    caller = loop.caller()
    caller.send(request(b"x" * 5_000_000))
    assert f"larger than {KIND.body} bytes" in caller.refused(413)
    assert caller.ended()
    assert loop.calls == []
    assert_alive(loop)


def test_a_body_of_just_the_limit_is_taken(loop: Loop) -> None:
    """The limit itself is allowed."""
    caller = loop.caller()
    caller.send(request(b"x" * KIND.body))
    assert caller.answers() == [(200, loop.answer)]


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n",  # TLS
        b"POST /X\r\n\r\n",
        b"POST /X HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /X HTTP/1.1\r\n\r\n",  # no Host
        b"POST /\xff HTTP/1.1\r\nHost: d\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nContent-Length: -1\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nContent-Length: 9999999999999999999\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nContent-Length: \xb2\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\n folded: yes\r\n\r\n",
        # What another reader would take for one header more, one less, or another length.
        b"POST /X HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /X HTTP/1.1\r\nHost: d\r\nhost: d\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nX: a\rContent-Length: 2\r\n\r\n{}",
        b"POST /X HTTP/1.1\r\nHost: d\r\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nX: a\nContent-Length: 2\r\n\r\n{}",
        b"POST /X HTTP/1.1\nHost: d\nContent-Length: 0\n\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nX: a\0b\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\x7f\r\n\r\n",
        b"POST /\tX HTTP/1.1\r\nHost: d\r\n\r\n",
        b"POST /X HTTP/2.0\r\nHost: d\r\n\r\n",
        b"P ST /X HTTP/1.1\r\nHost: d\r\n\r\n",
        b"POST  HTTP/1.1\r\nHost: d\r\n\r\n",
        b"POST /X HTTP/1.1\r\nHost: d\r\nX: " + b"x" * 20_000,
        b"x" * 20_000,
    ],
)
def test_what_is_no_http_is_refused(loop: Loop, data: bytes) -> None:
    """With an Err, and without harm to others."""
    caller = loop.caller()
    caller.send(data)
    ((status, body),) = caller.answers()
    assert 400 <= status < 600
    assert "not an HTTP request" in json.loads(body)["Err"]
    assert caller.ended()
    assert loop.calls == []
    assert_alive(loop)


def test_headers_that_do_not_matter_may_stand_twice(loop: Loop) -> None:
    """A list is one header, in one line or two; and a connection is closed by the word alone."""
    caller = loop.caller()
    caller.send(request(more="Accept: a\r\nAccept:\tb\r\nConnection: x\r\nConnection: closed\r\n"))
    assert caller.answers() == [(200, loop.answer)]
    assert not caller.ended()
    caller.send(request(more="Connection: x\r\nConnection: y , Close\r\n"))
    assert caller.answers() == [(200, loop.answer)]
    assert caller.ended()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(loop: Loop, method: str) -> None:
    """Somebody looks with curl; the answer says how to ask."""
    caller = loop.caller()
    caller.send(request(b"", method=method))
    assert "POST" in caller.refused(405)
    assert loop.calls == []
    assert_alive(loop)


def test_a_head_request_ends_nothing_but_itself(loop: Loop) -> None:
    """`curl -I`: an answer to HEAD has no body."""
    caller = loop.caller()
    caller.send(request(b"", method="HEAD"))
    assert caller.answers(b"HEAD") == [(405, b"")]
    assert_alive(loop)


def test_a_request_that_is_not_complete_in_time_is_ended(loop: Loop) -> None:
    """It is told why; and if it does not even hang up, it is hung up on."""
    caller = loop.caller()
    caller.send(request(b"abcdef")[:-3])
    deadline = loop.server.expire(monotonic())
    assert deadline is not None
    assert not caller.ended()
    later = loop.server.expire(deadline)
    assert "not complete" in caller.refused(408)
    assert later is not None
    assert len(loop.server.connections) == 1
    assert loop.server.expire(monotonic() + KIND.deadline) is None
    assert not loop.server.connections


def test_a_head_that_is_not_complete_in_time_is_ended(loop: Loop) -> None:
    """One byte is the beginning of a request."""
    caller = loop.caller()
    caller.send(b"P")
    assert loop.server.expire(monotonic() + KIND.deadline + 1) is not None
    assert "not complete" in caller.refused(408)


def test_half_a_call_behind_a_whole_one_is_ended_in_time_too(loop: Loop) -> None:
    """It came with the whole one in one piece, and nothing more follows."""
    caller = loop.caller()
    caller.send(request(b"one") + request(b"two")[:-1])
    assert caller.answers() == [(200, loop.answer)]
    loop.server.expire(monotonic() + KIND.deadline + 1)
    assert "not complete" in caller.refused(408)


def test_connections_that_rest_are_left_alone(loop: Loop) -> None:
    """Docker's own is idle for days."""
    caller = loop.caller()
    assert loop.server.expire(monotonic() + 1e9) is None
    caller.send(request())
    assert caller.answers() == [(200, loop.answer)]


PREFIXES = [0, 1, 10, 30, len(request(b"abcdef")) - 3]


@pytest.mark.parametrize("length", PREFIXES)
def test_a_caller_that_closes_early_ends_nothing_but_itself(loop: Loop, length: int) -> None:
    """Docker is restarted in the middle of a call."""
    caller = loop.caller()
    caller.send(request(b"abcdef")[:length])
    caller.close()
    loop.step()
    assert_alive(loop)
    assert not loop.calls[:-1]


@pytest.mark.parametrize(
    "data", [request(b"abcdef"), b"nonsense\r\n\r\n", request(b"", method="GET")]
)
def test_a_caller_that_does_not_wait_for_the_answer_ends_nothing_but_itself(
    loop: Loop, data: bytes
) -> None:
    """It is gone before the server has read what it sent."""
    caller = loop.caller()
    caller._socket.send(data)
    caller.close()
    loop.step()
    assert_alive(loop)
    loop.server.expire(monotonic() + KIND.deadline)
    assert_alive(loop)


def test_a_caller_that_is_gone_when_its_time_is_up_ends_nothing_but_itself(loop: Loop) -> None:
    """The deadline is looked at before the hang-up is read."""
    caller = loop.caller()
    caller.send(b"P")
    caller.close()
    loop.server.expire(monotonic() + KIND.deadline + 1)
    assert_alive(loop)


def test_a_caller_that_sends_no_more_still_gets_its_answer(loop: Loop) -> None:
    """It closed its sending half behind the request."""
    caller = loop.caller()
    caller.send(request())
    caller.half_close()
    assert caller.answers() == [(200, loop.answer)]
    assert caller.ended()


def test_a_caller_that_asks_for_the_end_gets_it(loop: Loop) -> None:
    """`Connection: close`, and HTTP/1.0."""
    for data in (
        request(more="Connection: close\r\n"),
        b"POST /X HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
    ):
        caller = loop.caller()
        caller.send(data)
        assert caller.answers() == [(200, loop.answer)]
        assert caller.ended()
    assert not loop.server.connections


def test_a_slow_reader_gets_every_answer_whole(loop: Loop) -> None:
    """And delays no other client meanwhile."""
    loop.answer = b"x" * 300_000
    slow = loop.caller()
    slow.shrink()
    slow.send(request() * 3)
    assert_alive(loop)
    assert slow.answers() == [(200, loop.answer)] * 3


def test_a_slow_reader_that_goes_away_ends_nothing_but_itself(loop: Loop) -> None:
    """With most of its answer unsent."""
    loop.answer = b"x" * 300_000
    slow = loop.caller()
    slow.shrink()
    slow.send(request())
    slow.close()
    loop.step()
    assert_alive(loop)


def test_the_end_of_the_server_is_the_end_of_its_connections(loop: Loop) -> None:
    """A caller sees it at once, instead of waiting for an answer."""
    callers = [loop.caller() for _one in range(3)]
    for connection in list(loop.server.connections):
        connection.close()
        connection.close()
    assert all(caller.ended() for caller in callers)


def test_a_caller_that_is_gone_before_it_is_accepted(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or no descriptor is free: the server goes on."""

    class Gone:
        def accept(self) -> None:
            raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(loop.server, "_listening", Gone())
        loop.server._accept()
    assert_alive(loop)
