"""Why this host does not connect to another one: zenoh says nothing of it, the doctor does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from canwharf.operator.doctor import reach
from canwharf.operator.doctor.reach import unreached
from canwharf.span import authority, directory
from canwharf.span.authority import Signed
from canwharf.span.report import Report
from canwharf.span.settings import Settings
from canwharf.span.state import Host, State

if TYPE_CHECKING:
    from canwharf.operator.status import Status

NOW = datetime.now(UTC)
CA, OTHER = authority.new(NOW), authority.new(NOW)
OWN = Report("0.5", 1)
Find = Callable[..., dict[str, str]]


def status(**hosts: Host) -> Status:
    """What is known where the only bus has these other hosts."""
    state = State("bench-1", "bench7", "vcan0", OWN, {}, hosts)
    return cast("Status", SimpleNamespace(spanned={"vcan0": state}))


def issued(ca: Signed, name: str) -> Signed:
    return authority.issue(ca, name, ["127.0.0.1"], NOW)


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
def find(tmp_path: Path, listener: socket.socket) -> Find:
    """The faults of the connection to the listener, by a host of this authority."""
    address = f"tls/127.0.0.1:{listener.getsockname()[1]}"

    def find(ca: Signed = CA, endpoint: str = address, **hosts: Host) -> dict[str, str]:
        where, own = str(tmp_path / "span"), issued(ca, "bench-1")
        settings = Settings("bench-1", (), ("quic/127.0.0.1:9", endpoint))
        files = {directory.CA: CA.certificate, directory.HOST: own.certificate + own.key}
        directory.create(where, {**files, directory.SETTINGS: directory.written(settings)})
        found = dict(unreached(status(**hosts), where))
        assert found.keys() <= {endpoint}
        return found

    return find


def serve(listener: socket.socket, folder: Path, ca: Signed) -> None:
    """Take one connection as a host of this authority does, which trusts CA."""
    own = issued(ca, "bench-2")
    (folder / "other.pem").write_bytes(own.certificate + own.key)
    (folder / "trusted.pem").write_bytes(CA.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "other.pem")
    context.load_verify_locations(folder / "trusted.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    def take() -> None:
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as one:
            one.recv(1)

    Thread(target=take, daemon=True).start()


def test_one_that_answers_has_no_fault(find: Find, listener: socket.socket, tmp_path: Path) -> None:
    serve(listener, tmp_path, CA)
    assert find() == {}


def test_where_nobody_listens(find: Find, listener: socket.socket) -> None:
    listener.close()
    assert list(find(bench2=Host()).values()) == ["Connection refused"]


def test_one_of_another_authority(find: Find, listener: socket.socket, tmp_path: Path) -> None:
    serve(listener, tmp_path, OTHER)
    (fault,) = find().values()
    assert fault.startswith("its certificate is not taken here: ")


def test_one_that_refuses_this_hosts_certificate(
    find: Find, listener: socket.socket, tmp_path: Path
) -> None:
    serve(listener, tmp_path, CA)
    (fault,) = find(OTHER).values()
    assert fault.startswith("it refuses this host's certificate: ")


@pytest.mark.parametrize("name", ["bench..lab", "b" * 64])
def test_what_can_be_no_name(name: str, find: Find) -> None:
    (fault,) = find(endpoint=f"tls/{name}:7447").values()
    assert fault == f"{name} can be no name of a host"


def test_a_resolver_that_does_not_answer_does_not_hold_up_the_doctor(
    find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for minutes by default, name by name."""
    ended = Event()
    monkeypatch.setattr(reach, "TOTAL", 0.01)
    monkeypatch.setattr(reach, "_fault", lambda _settings, _address: str(ended.wait()))
    try:
        assert list(find().values()) == ["no answer in 0.01 s"]
    finally:
        ended.set()


def test_while_all_are_there_nothing_is_tried(find: Find, listener: socket.socket) -> None:
    listener.close()
    assert find(bench2=Host(there=True)) == {}


def test_settings_that_are_not_there_say_nothing(tmp_path: Path) -> None:
    assert unreached(status(), str(tmp_path / "none")) == {}
