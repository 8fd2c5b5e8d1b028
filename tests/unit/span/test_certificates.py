"""Sessions over TLS, with zenoh itself: a host is heard under its own name, or not at all."""

from __future__ import annotations

import json
import queue
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest
import zenoh

from canwharf.span import authority, settings
from canwharf.span.serve import Service
from canwharf.span.session import Session
from canwharf.span.settings import Settings, check
from tests.unit.span.test_session import LIMIT, Heard, free_port

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=authority.HOST_DAYS + 1)
CA = authority.new(LONG_AGO)
Opened = Callable[..., Settings]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def host(tmp_path: Path, port: int) -> Opened:
    """The settings of a host on loopback with a certificate; bench-1 listens, others connect."""
    (tmp_path / "ca.pem").write_bytes(CA.certificate)

    def made(
        name: str,
        *hosts: str,
        ca: authority.Signed = CA,
        now: datetime = NOW,
        address: str = "127.0.0.1",
        protocol: str = "tls",
    ) -> Settings:
        path = tmp_path / f"{name}.pem"
        signed = authority.issue(ca, name, (address,), now)
        path.write_bytes(signed.certificate + signed.key)
        files = {"ca": str(tmp_path / "ca.pem"), "certificate": str(path), "key": str(path)}
        endpoint = (f"{protocol}/127.0.0.1:{port}",)
        ends = {"listen" if name == "bench-1" else "connect": endpoint}
        which = Settings(name, **ends, **files, hosts=hosts)  # type: ignore[arg-type]
        check(which)
        return which

    return made


def linked(session: Session, *names: str) -> None:
    """Until hosts that may not be heard have come."""
    end = monotonic() + LIMIT
    while session.strangers() != set(names):
        assert monotonic() < end, session.strangers()


@pytest.mark.parametrize("protocol", settings.SECURE)
def test_each_is_heard_under_its_own_name(host: Opened, protocol: str) -> None:
    with (
        Session(host("bench-1", "bench-2", protocol=protocol)) as first,
        Session(host("bench-2", "bench-1", protocol=protocol)) as second,
    ):
        heard = Heard(first), Heard(second)
        sends = first.publish("x"), second.publish("x")
        assert (heard[0].news(), heard[1].news()) == (("bench-2", True), ("bench-1", True))
        heard[0].probe(sends[1])
        heard[1].probe(sends[0])
        assert heard[0].message(lambda: sends[1](b"of two")) == ("bench-2", b"of two")
        assert heard[1].message(lambda: sends[0](b"of one")) == ("bench-1", b"of one")
        assert not first.strangers() | second.strangers()


def test_no_host_is_heard_under_the_name_of_another(host: Opened) -> None:
    """The impostor has a certificate of its own, and a zenoh that does not hold it back."""
    with Session(host("bench-1", "bench-2", "bench-3")) as first, impostor(host("bench-3")) as bad:
        heard = Heard(first)
        forged = bad.liveliness().declare_token("canwharf/1/x/bench-2/alive")
        end = monotonic() + LIMIT
        while heard.messages.empty():
            assert monotonic() < end
            bad.put("canwharf/1/x/bench-2/frames", b"forged")
            bad.put("canwharf/1/y/bench-1/frames", b"forged")
            bad.put("canwharf/1/x/bench-3/frames", b"its own")
        assert heard.messages.get() == ("bench-3", b"its own")
        assert {each[0] for each in heard.messages.queue} <= {"bench-3"}
        assert heard.presence.empty()
        assert not first.repeated
        del forged


@contextmanager
def impostor(which: Settings) -> Iterator[zenoh.Session]:
    config = zenoh.Config()
    for key, value in settings.zenoh(which).items():
        if key != "access_control":
            config.insert_json5(key, json.dumps(value))
    session = zenoh.open(config)
    try:
        yield session
    finally:
        session.close()  # type: ignore[no-untyped-call]


def test_a_host_that_is_not_let_in_neither_hears_nor_is_heard(host: Opened) -> None:
    second = host("bench-2", "bench-1")
    with Session(second) as late:
        heard_late, send_late = Heard(late), late.publish("x")
        with Session(host("bench-1")) as first:
            heard, send = Heard(first), first.publish("x")
            linked(first, "bench-2")
            for _message in range(10):
                send(b"not for it")
                send_late(b"not from it")
        assert heard.messages.empty()
        with Session(host("bench-1", "bench-2")) as first:
            heard, send = Heard(first), first.publish("x")
            assert heard.news() == ("bench-2", True)
            heard.probe(send_late)
            heard_late.probe(send)
            assert heard.message(lambda: send_late(b"from it")) == ("bench-2", b"from it")
            assert heard_late.message(lambda: send(b"for it")) == ("bench-1", b"for it")


@pytest.mark.parametrize("strict", [False, True])
def test_a_service_lets_in_a_host_that_joins_unless_its_list_is_closed(
    host: Opened, tmp_path: Path, strict: bool
) -> None:
    """Without a command on the hosts that are there already. One that is refused stays out."""
    said: list[str] = []
    first = host("bench-1")._replace(refuse=("bench-3",), strict=strict)
    with (
        Service(first, "canwharf", str(tmp_path / "spans"), said.append) as service,
        Session(host("bench-3", "bench-1")) as refused,
        Session(host("bench-2", "bench-1")),
    ):
        end = monotonic() + LIMIT
        while not (any("bench-2" in each for each in said) and refused._session.info.links()):
            assert monotonic() < end
            service.step()
        assert service.hosts == (() if strict else ("bench-2",))
        assert service._session
        assert service._session.partners() <= set(service.hosts)
    words = "--host: not heard" if strict else "bench-2 joined, with a certificate"
    assert any(each.startswith(words) for each in said)
    assert not any("bench-3" in each for each in said)


def test_a_session_that_cannot_be_opened_anew_is_tried_again(host: Opened, tmp_path: Path) -> None:
    """A host joins while the certificate is being replaced: the file is half there."""
    said: list[str] = []
    first = host("bench-1")
    own, whole = Path(first.certificate), Path(first.certificate).read_bytes()
    with (
        Service(first, "canwharf", str(tmp_path / "spans"), said.append) as service,
        Session(host("bench-2", "bench-1")) as second,
    ):
        own.write_bytes(whole[: len(whole) // 2])
        step_until(service, lambda: any("it is tried again" in each for each in said))
        for _step in range(10):
            service._looked = float("-inf")
            service.step()
        own.write_bytes(whole)
        step_until(service, lambda: bool(second._session.info.links()))
    (told,) = (each for each in said if "tried again" in each)
    assert told.startswith("session: cannot open a session: ")


def step_until(service: Service, done: Callable[[], bool]) -> None:
    end = monotonic() + LIMIT
    while not done():
        assert monotonic() < end
        service.step()


def test_a_second_host_of_the_same_name_is_told(host: Opened) -> None:
    """Somebody carried the same certificate to two hosts."""
    which = host("bench-1")
    double = which._replace(listen=(), connect=which.listen)
    with Session(which) as first, Session(double) as second:
        Heard(first)
        send = second.publish("x")
        end = monotonic() + LIMIT
        while not first.repeated:
            assert monotonic() < end
            send(b"of the double")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"ca": authority.new(NOW)}, "unknown ca|decrypt error|bad certificate"),
        ({"now": LONG_AGO}, "expired"),
    ],
)
def test_a_listener_refuses_a_certificate(
    host: Opened, port: int, made: dict[str, authority.Signed], words: str
) -> None:
    bad = host("bench-2", **made)
    with Session(host("bench-1", "bench-2")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(bad.ca)
        context.load_cert_chain(bad.certificate)
        with (
            socket.create_connection(("127.0.0.1", port), LIMIT) as plain,
            pytest.raises(ssl.SSLError, match=words),
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.recv(1)


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1\r\n\r\n", b"\x0a\x00\x41\x09\x00"])
def test_a_listener_hangs_up_on_what_is_not_tls(host: Opened, port: int, content: bytes) -> None:
    with (
        Session(host("bench-1", "bench-2")),
        socket.create_connection(("127.0.0.1", port), LIMIT) as plain,
    ):
        plain.sendall(content)
        try:
            while plain.recv(4096):
                pass
        except ConnectionResetError:
            pass


def test_a_listener_wants_a_certificate(host: Opened, port: int) -> None:
    which = host("bench-1", "bench-2")
    context = ssl.create_default_context(cafile=which.ca)
    with (
        Session(which),
        socket.create_connection(("127.0.0.1", port), LIMIT) as plain,
        pytest.raises(ssl.SSLError, match="certificate required"),
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.recv(1)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"ca": authority.new(NOW)}, "unknown ca|decrypt error|bad certificate"),
        ({"now": LONG_AGO}, "expired"),
        ({"address": "192.0.2.1"}, "bad certificate"),
    ],
)
def test_who_connects_refuses_a_certificate(
    host: Opened, port: int, made: dict[str, authority.Signed], words: str
) -> None:
    """Also a good one that is for another address: another host took this one's."""
    bad = host("bench-1", **made)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bad.certificate)
    refused: list[str] = []

    def serve() -> None:
        try:
            plain, _address = server.accept()
            server.close()  # it tries again, and a session that ends waits for an attempt
            with plain, context.wrap_socket(plain, server_side=True) as secure:
                refused.append(f"not at all: {secure.recv(1)!r}")
        except OSError as error:
            refused.append(str(error))

    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(LIMIT)
        thread = Thread(target=serve)
        thread.start()
        with Session(host("bench-2", "bench-1")):
            thread.join(LIMIT)
    assert any(each in refused[0].replace("_", " ").lower() for each in words.split("|")), refused


def test_a_new_certificate_needs_one_restart_of_its_host_only(host: Opened) -> None:
    with Session(host("bench-1", "bench-2")) as first:
        for message in (b"with the old one", b"with the new one"):
            heard = Heard(first)
            with Session(host("bench-2", "bench-1")) as second:
                send = second.publish("x")
                assert heard.news() == ("bench-2", True)
                heard.probe(send)
                assert heard.message(lambda: send(message)) == ("bench-2", message)  # noqa: B023
            assert heard.news() == ("bench-2", False)


def test_a_host_answers_under_its_own_name_only(host: Opened) -> None:
    """The impostor has a certificate of its own, and a zenoh that does not hold it back."""
    with Session(host("bench-1", "bench-2", "bench-3")) as first, impostor(host("bench-3")) as bad:
        answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        declared = [
            bad.declare_queryable(
                f"canwharf/1/x/{name}/state",
                lambda query, name=name: query.reply(  # type: ignore[misc]
                    f"canwharf/1/x/{name}/state", b"of bench-3"
                ),
            )
            for name in ("bench-2", "bench-3")
        ]
        told: list[tuple[str, bytes]] = []
        end = monotonic() + LIMIT
        while not told:
            assert monotonic() < end
            first.ask("x", lambda name, payload: answers.put((name, payload)))
            with suppress(queue.Empty):
                told.append(answers.get(timeout=0.5))
        with suppress(queue.Empty):
            while True:
                told.append(answers.get(timeout=0.5))
        assert set(told) == {("bench-3", b"of bench-3")}
        del declared


def test_a_host_that_is_not_let_in_is_told_nothing(host: Opened) -> None:
    """It learns that it is connected, and has no answer."""
    with Session(host("bench-1")) as first, Session(host("bench-2", "bench-1")) as second:
        first.answer("x", lambda: b"secret")
        linked(first, "bench-2")
        answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        for _question in range(3):
            second.ask("x", lambda name, payload: answers.put((name, payload)))
            with pytest.raises(queue.Empty):
                answers.get(timeout=0.5)
        assert second.linked() == {"bench-1"}
