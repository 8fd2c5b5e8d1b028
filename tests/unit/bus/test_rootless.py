"""What a user without root may do by a runtime's call, and what not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from canwharf.bus import events, naming, rootless
from canwharf.bus.attach import Caller
from canwharf.daemon import calls
from canwharf.daemon.calls import RUNTIME
from canwharf.daemon.server import Sender
from canwharf.kernel import namespace
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.runtime import DRIVE, Runtime, body

ANN, BEN = 1000, 1001


class Users:
    """Calls of users; their containers' namespaces are files, whose descriptors come along."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._calls = calls.of_users(daemon.service)
        self.owners: dict[int, int] = {}  # the user by the number of a namespace's descriptor
        self.names: dict[str, str] = {}  # and its name by its path

    def call(self, uid: int, verb: str, container: str, **network: object) -> Any:  # noqa: ANN401
        """A call of netavark's; the answer, or the error's text."""
        given: dict[str, object] = {**DRIVE, **network}
        content: dict[str, object] = {
            "container_id": f"{container}id",
            "container_name": container,
            "network": given,
            "network_options": {"interface_name": "eth0"},
        }
        content = given if verb == "create" else content
        descriptor = os.open("/dev/null", os.O_RDONLY)
        self.names[Caller(descriptor).namespace] = f"/ns/{container}{uid}"
        try:
            words = [verb, f"/run/netns/{container}"]
            sender = Sender(descriptor, uid)
            status, output = self._calls.answer(RUNTIME, body(words, content), sender)
        finally:
            os.close(descriptor)
        answer = json.loads(output) if output else {}
        assert status == (400 if "error" in answer else 200)
        return answer.get("error", answer)

    def endpoints(self) -> dict[str, list[str]]:
        """The containers' names by their network."""
        return {
            id: [naming.label_of(each) for each in network.endpoints]
            for id, network in self.daemon.service.state.networks.items()
        }


@pytest.fixture
def users(daemon: Daemon, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Users]:
    made = Users(daemon)

    def opened(path: str, what: str) -> AbstractContextManager[int]:
        return kernel.opened(made.names.get(path, path), what)

    def owner(descriptor: int) -> int:
        name = made.names[Caller(descriptor).namespace]
        return int(name[-4:]) if name[-4:].isdigit() else 0

    monkeypatch.setattr(namespace, "is_network", lambda _descriptor: True)
    monkeypatch.setattr(namespace, "opened", opened)
    monkeypatch.setattr(namespace, "owner", owner)
    yield made
    daemon.assert_exactly_once("vcan0")


def test_two_users_with_the_same_names_are_two(users: Users) -> None:
    """And neither is root's container of that name; each removes only their own."""
    root = Runtime(users.daemon)
    root.setup("web")
    for uid in (ANN, BEN):
        answer = users.call(uid, "setup", "web")
        assert list(answer["interfaces"]) == ["can0"]
    all_of_them = {"podman.drive": ["web"]} | {f"podman-{uid}.drive": ["web"] for uid in (ANN, BEN)}
    assert users.endpoints() == all_of_them
    users.call(ANN, "teardown", "web")
    assert users.endpoints() == {**all_of_them, f"podman-{ANN}.drive": []}
    users.call(ANN, "teardown", "log")
    root.teardown("web")
    assert users.endpoints()[f"podman-{BEN}.drive"] == ["web"]


def test_a_namespace_of_another_is_refused(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's, another user's, and none: nothing is made."""
    Runtime(users.daemon).setup("web")
    before = users.daemon.kernel.snapshot()
    monkeypatch.setattr(namespace, "owner", lambda _descriptor: 0)
    error = users.call(ANN, "setup", "web")
    assert error.endswith(f"it belongs to the user 0, and not to {ANN}")
    monkeypatch.setattr(namespace, "owner", lambda _descriptor: BEN)
    assert "belongs to the user 1001" in users.call(ANN, "setup", "web")
    sender = Sender(uid=ANN)
    content = {
        "container_id": "c",
        "container_name": "c",
        "network": DRIVE,
        "network_options": {"interface_name": "eth0"},
    }
    calls_of = calls.of_users(users.daemon.service)
    status, output = calls_of.answer(RUNTIME, body(["setup", "/ns/c"], content), sender)
    assert status == 400, "a path was opened with the daemon's rights"
    assert "no network namespace" in json.loads(output)["error"]
    assert users.daemon.kernel.snapshot() == before


def test_what_is_no_namespace_is_not_opened(
    users: Users, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A user can pass on a file without any right to it, and to open a watchdog starts it."""
    Runtime(users.daemon).setup("web")
    monkeypatch.undo()
    opened: list[object] = []
    monkeypatch.setattr(namespace, "opened", opened.append)
    content = {
        "container_id": "c",
        "container_name": "c",
        "network": DRIVE,
        "network_options": {"interface_name": "eth0"},
    }
    calls_of = calls.of_users(users.daemon.service)
    (tmp_path / "device").touch(mode=0)
    for flags in (os.O_PATH, os.O_RDONLY):
        descriptor = os.open(tmp_path / "device", flags)
        sender = Sender(descriptor, ANN)
        status, output = calls_of.answer(RUNTIME, body(["setup", "/ns/c"], content), sender)
        assert "it is not a network namespace" in json.loads(output)["error"]
        assert (status, opened) == (400, [])
        os.close(descriptor)


def test_the_path_of_a_user_is_never_opened_later(users: Users) -> None:
    """Maintenance makes a lost pair again where it was: in root's container, if that were told."""
    users.call(ANN, "setup", "web")
    assert users.daemon.service.pending.namespaces == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"can.interface": "can0", "can.bitrate": "500000"},
            "can.bitrate=500000: without root, an adapter is used as root has set it up",
        ),
        ({"can.interface": "can0", "can.mode": "move"}, "as root has set it up"),
        ({"can.interface": "vcan0", "can.force": "on"}, "as root has set it up"),
        ({"can.interface": "eth7"}, "no such CAN interface"),
        ({"can.interface": "can7", "can.type": "physical"}, "no such CAN interface"),
        ({"can.interface": "vcan7", "can.type": "physical"}, "no such CAN interface"),
    ],
)
def test_what_is_roots_alone(users: Users, given: dict[str, str], words: str) -> None:
    """An adapter's settings, and the names of the host's interfaces."""
    Runtime(users.daemon).setup("web")
    before = users.daemon.kernel.snapshot()
    assert words in users.call(ANN, "setup", "web", options=given)
    assert users.daemon.kernel.snapshot() == before
    if "root has set it up" in words:
        assert words in users.call(ANN, "create", "web", options=given)


def test_an_adapter_that_root_has_set_up_is_used(users: Users, kernel: FakeKernel) -> None:
    """Also one that canwharf knows nothing of yet."""
    kernel.plug("can0")
    users.call(ANN, "setup", "web", options={"can.interface": "can0"})
    assert users.endpoints() == {f"podman-{ANN}.drive": ["web"]}
    users.call(ANN, "setup", "vcan", name="test")


def test_a_user_has_an_end(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of interfaces; another has as many."""
    monkeypatch.setattr(rootless, "MOST", 2)
    for name in ("a", "b"):
        users.call(ANN, "setup", name)
    assert "has 2 CAN interfaces, and that is the limit" in users.call(ANN, "setup", "c")
    assert "interfaces" in users.call(BEN, "setup", "c")


def test_a_name_that_is_made_up_to_be_anothers(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host end's name is a remainder that can be aimed at: the other keeps its interface."""
    Runtime(users.daemon).setup("web")
    before = users.daemon.kernel.snapshot()
    [taken] = [each for each in users.daemon.kernel.names() if each.startswith("cwh")]
    monkeypatch.setattr(naming, "host_end", lambda _network, _endpoint: taken)
    error = users.call(ANN, "setup", "log")
    assert "would have the name of another endpoint's" in error
    assert users.daemon.kernel.snapshot() == before


def test_only_runtimes_calls_are_there(users: Users) -> None:
    """Neither Docker's nor our own: they are root's."""
    Runtime(users.daemon).setup("web")
    answer = calls.of_users(users.daemon.service).answer
    for path in ("/Canwharf.Sync", "/Canwharf.State", "/NetworkDriver.DeleteNetwork"):
        assert answer(path, b"{}", Sender(uid=ANN))[0] == 404


def test_a_refused_call_is_in_the_log_with_its_user(users: Users) -> None:
    """Root sees who tries what."""
    Runtime(users.daemon).setup("web")
    users.call(ANN, "setup", "log", options={"can.interface": "eth7"})
    [event] = users.daemon.said(events.CALL_REFUSED)
    assert event.fields["call"] == f"netavark setup of user {ANN}"


def test_options_are_checked_before_any_container(users: Users) -> None:
    """At `podman network create`."""
    Runtime(users.daemon).setup("web")
    assert users.call(ANN, "create", "web")["dns_enabled"] is False
