"""Failure in the middle of a call, on the real kernel: others are left as they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from canwharf.bus import events, naming
from canwharf.errors import ConflictError, KernelError
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.kernel.site import Site, shown
from tests.world.host import can_interfaces, cangw_lines, ip

N = "n" * 64
A, B, C, D = (letter * 64 for letter in "abcd")


def during(site: Site, patch: pytest.MonkeyPatch, what: str, act: Callable[[], object]) -> None:
    """Let something happen once, just before the first send that has to do with `what`."""
    batch = site.daemon.netlink.batch

    def late(requests: Sequence[Request]) -> list[Message]:
        if any(what in request.target for request in requests):
            patch.setattr(site.daemon.netlink, "batch", batch)
            act()
        return batch(requests)

    patch.setattr(site.daemon.netlink, "batch", late)


def test_a_foreign_interface_that_appears_during_the_call(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody makes vcan0 between our look and our message: the call fails, theirs stays."""
    during(site, monkeypatch, "vcan0", lambda: ip("link add vcan0 type vcan"))
    with pytest.raises(KernelError, match="File exists"):
        site.network(N)
    assert can_interfaces() == {"vcan0"}
    assert "ifalias" not in shown("vcan0")
    assert not site.daemon.said(events.CALL_NOT_UNDONE)


def test_a_foreign_pair_that_appears_during_a_join(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the port's own name, of all names."""
    site.network(N)
    site.create(N, A)
    port = site.port(N, A)
    during(site, monkeypatch, port, lambda: ip(f"link add {port} type vxcan peer name theirs0"))
    with pytest.raises(KernelError, match="File exists"):
        site.service.join(N, A)
    assert can_interfaces() == {"vcan0", port, "theirs0"}
    assert "ifalias" not in shown(port)
    ip(f"link delete {port}")
    site.join(N, A)
    site.assert_whole()


def test_a_pair_that_goes_before_its_rules_is_made_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.network(N)
    site.start(N, A, B)
    site.create(N, C)
    port = site.port(N, C)
    during(site, monkeypatch, "gateway rule", lambda: ip(f"link delete {port}"))
    site.join(N, C)
    site.assert_whole()


def test_a_join_that_always_fails_at_the_rules_leaves_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.network(N)
    site.start(N, A, B)
    before = sorted(cangw_lines()), can_interfaces()
    site.create(N, C)
    batch = site.daemon.netlink.batch
    hindrances: list[str] = []

    def hindered(requests: Sequence[Request]) -> list[Message]:
        if any("gateway rule" in request.target for request in requests):
            hindrances.append(ip(f"link delete {site.port(N, C)}"))
        return batch(requests)

    monkeypatch.setattr(site.daemon.netlink, "batch", hindered)
    with pytest.raises(KernelError, match="No such device"):
        site.service.join(N, C)
    assert len(hindrances) == 3
    assert (sorted(cangw_lines()), can_interfaces()) == before
    site.assert_whole()
    monkeypatch.setattr(site.daemon.netlink, "batch", batch)
    site.join(N, C)
    site.assert_whole()


@pytest.mark.parametrize("when", ["interface pair", "gateway rule"])
def test_a_peer_that_dies_during_a_join(
    site: Site, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Its end is not yet announced when the plan is made: a death elsewhere is not our failure."""
    site.network(N)
    site.start(N, A, B)
    site.create(N, C)
    during(site, monkeypatch, when, lambda: ip(f"link delete {site.port(N, A)}"))
    site.join(N, C)
    site.containers.pop((N, A)).close()
    site.assert_whole()


class Crash(BaseException):
    """The daemon's end; nothing of it runs behind this."""


@pytest.mark.parametrize("call", ["network", "join"])
def test_an_end_between_the_two_sends_leaves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What was made and has no name yet is known by its group: the next life removes it."""
    if call == "join":
        site.network(N)
        site.start(N, A, B)
        site.create(N, C)
    before = sorted(cangw_lines()), can_interfaces()
    batch = site.daemon.netlink.batch

    def once(requests: Sequence[Request]) -> list[Message]:
        batch(requests)
        raise Crash

    monkeypatch.setattr(site.daemon.netlink, "batch", once)
    with pytest.raises(Crash):
        site.service.join(N, C) if call == "join" else site.network(N)
    made = can_interfaces() - before[1]
    hub = {naming.hub_end("canwharf", "vcan0", end) for end in ("in", "out")}
    pair = {site.port(N, C), naming.container_end(N, C)}
    assert made == (pair if call == "join" else {"vcan0", *hub})
    assert all("ifalias" not in shown(name) for name in made)
    site.restart()
    site.daemon.maintenance.recover()
    if call == "network":
        assert (sorted(cangw_lines()), can_interfaces()) == before
        site.network(N)
    site.start(N, C)
    site.assert_whole()


def test_a_join_whose_state_cannot_be_saved_is_undone(site: Site, tmp_path: Path) -> None:
    site.network(N)
    site.start(N, A)
    before = sorted(cangw_lines()), can_interfaces()
    blocker = tmp_path / "state" / "state.json.new"
    blocker.mkdir()
    with pytest.raises(Exception, match="cannot write"):
        site.service.join(N, B)
    assert (sorted(cangw_lines()), can_interfaces()) == before
    blocker.rmdir()
    site.join(N, B)
    site.assert_whole()


def test_a_network_whose_state_cannot_be_saved_is_undone(site: Site, tmp_path: Path) -> None:
    (tmp_path / "state" / "state.json.new").mkdir()
    with pytest.raises(Exception, match="cannot write"):
        site.network(N)
    assert can_interfaces() == set()


def test_the_container_interface_name_is_taken(site: Site) -> None:
    ip(f"link add {naming.container_end(N, A)} type vcan")
    site.network(N)
    with pytest.raises(KernelError, match="File exists"):
        site.join(N, A)
    assert can_interfaces() == {"vcan0", naming.container_end(N, A)}
    ip(f"link delete {naming.container_end(N, A)}")
    site.join(N, A)
    site.assert_whole()


def test_the_host_interface_name_is_taken_by_a_foreigner(site: Site) -> None:
    """It is not used, not changed, not deleted; the others talk, and it counts as absent."""
    name = naming.host_end(N, A)
    ip(f"link add {name} mtu 72 type vcan")
    ip(f"link set {name} up alias mine")
    site.network(N)
    with pytest.raises(ConflictError, match=f"pair {name}: the host has an interface"):
        site.service.join(N, A)
    assert shown(name)["ifalias"] == "mine"
    assert cangw_lines() == []
    site.start(N, B)
    site.create(N, A)
    site.start(N, C)
    site.daemon.maintenance.recover()
    site.assert_whole()
    site.service.delete_endpoint(N, A)
    site.service.delete_endpoint(N, B)
    assert shown(name)["ifalias"] == "mine"
