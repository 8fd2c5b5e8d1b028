"""Names on the real kernel: the interface is made in its container, named and up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from canwharf.bus import naming
from canwharf.errors import CanwharfError, KernelError, NamespaceError
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.kernel.site import Site, shown
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import (
    SYS_NET,
    can_interfaces,
    cangw_lines,
    gateway_rules,
    index_of,
    ip,
    run,
    wait_for_carrier,
    wait_until,
)
from tests.world.member import HOST
from tests.world.rules import linear

N, M = "n" * 64, "m" * 64
A, B, C = (letter * 64 for letter in "abc")


class Crash(BaseException):
    """The daemon's end; nothing of it runs behind this."""


def crash_after_a_send(site: Site, patch: pytest.MonkeyPatch) -> None:
    """End the daemon when the kernel has done its next send."""
    batch = site.daemon.netlink.batch

    def once(requests: Sequence[Request]) -> list[Message]:
        batch(requests)
        raise Crash

    patch.setattr(site.daemon.netlink, "batch", once)


def held() -> tuple[list[str], set[str]]:
    """What the host's kernel holds."""
    return sorted(cangw_lines()), can_interfaces()


def test_it_is_there_named_and_up_when_the_join_returns(site: Site, container: Container) -> None:
    """Before the container's first process; and nothing is moved or renamed."""
    site.network(N)
    site.place(N, A, "battery", container)
    inside = container.links()["battery"]
    assert (inside.kind, inside.up, inside.mtu, inside.alias) == ("vxcan", True, 72, "")
    assert set(container.links()) == {"lo", "battery"}
    told = shown(site.port(N, A))
    assert {"UP", "LOWER_UP"} <= set(told["flags"])
    assert told["mtu"] == 72
    assert told["ifalias"] == f"canwharf canwharf endpoint {N} {A} vcan0 battery exact"
    assert can_interfaces() == {"vcan0", site.port(N, A)}


def test_among_others_each_frame_arrives_once(site: Site) -> None:
    site.network(N)
    site.start(N, A)
    site.place(N, B, "can7")
    site.place(N, C, "can7")
    site.assert_whole()
    site.stop(N, B)
    site.die(N, C)
    site.assert_whole()


def test_the_daemon_knows_at_once_that_the_other_end_is_away(site: Site) -> None:
    """Or an endpoint whose container runs would be taken for an abandoned one."""
    site.network(N)
    site.place(N, A, "can1")
    found = site.daemon.reconciler.observe().link(site.port(N, A))
    assert found is not None
    assert found.peer_away
    assert site.daemon.resync() is False
    assert site.daemon.resync() is False
    assert not site.daemon.complaints()
    site.assert_whole()


def test_a_name_that_the_host_has_too(site: Site) -> None:
    """The adapter can1 of the host, as can1 in its containers: the most natural wish of all.

    Kernels before 6.15 look for a name that is to be made in the caller's namespace first.
    """
    site.network(N, interface="can1")
    site.place(N, A, "can1")
    site.place(N, B, "can1")
    site.assert_whole("can1")
    assert shown("can1")["linkinfo"]["info_kind"] == "vcan"


def test_two_buses_in_one_container(site: Site, container: Container) -> None:
    """Which is which does not depend on who comes first."""
    site.network(N, interface="vcan0")
    site.network(M, interface="vcan1")
    for first, second in (((N, A, "can0"), (M, B, "can1")), ((M, B, "can1"), (N, A, "can0"))):
        site.place(*first, container)
        site.place(*second, container)
        ends = [index_of(site.port(N, A)), index_of(site.port(M, B))]
        assert [container.links()[name].peer for name in ("can0", "can1")] == ends
        for network, endpoint in ((N, A), (M, B)):
            site.service.leave(network, endpoint)
            site.service.delete_endpoint(network, endpoint)
        # A program in there sees both go at once, though the container lives on.
        assert set(container.links()) == {"lo"}
    site.containers.clear()


def test_a_prefix_beside_a_whole_name(site: Site, container: Container) -> None:
    """It has the first number that is free: the engine would come upon the name."""
    site.network(N, interface="vcan0")
    site.network(M, interface="vcan1")
    site.place(N, A, "can0", container)
    for endpoint in (B, C):
        site.create(M, endpoint)
        site.join_placed(M, endpoint, container)
    assert set(container.links()) == {"lo", "can0", "can1", "can2"}
    assert container.links()["can2"].peer == index_of(site.port(M, C))
    site.service.delete_endpoint(M, B)
    assert set(container.links()) == {"lo", "can0", "can2"}
    site.containers.clear()


def test_two_buses_that_ask_for_one_name(site: Site, container: Container) -> None:
    """The second is told so, and nothing is left of it; the first is not disturbed."""
    site.network(N, interface="vcan0")
    site.network(M, interface="vcan1")
    site.place(N, A, "can1", container)
    before = held()
    with pytest.raises(KernelError, match=r"can1 in the container: File exists; can1 is taken"):
        site.place(M, B, "can1", container)
    assert held() == before
    assert set(container.links()) == {"lo", "can1"}
    site.service.delete_endpoint(M, B)
    site.assert_whole("vcan0")
    site.place(M, C, "can2", container)


def test_a_namespace_that_is_not_there(site: Site, tmp_path: Path) -> None:
    """As with an engine that makes it after the Join: never in silence under another name."""
    site.network(N)
    site.service.create_endpoint(N, A, {"can.ifname": "can1"})
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    other = "/proc/self/ns/uts"
    before = held()
    paths = ["", "/run/none", tmp_path / "file", tmp_path / "fifo", tmp_path, other, "/dev/null"]
    for path in map(str, paths):
        with pytest.raises(NamespaceError, match="cannot make interface can1 in ") as refused:
            site.service.join(N, A, path)
        assert refused.value.missing
        assert held() == before
    site.join_placed(N, A)
    site.assert_whole()


def test_the_hosts_own_namespace_is_no_containers(site: Site, tmp_path: Path) -> None:
    """What a container asks to be called must not turn up on the host."""
    site.network(N)
    site.service.create_endpoint(N, A, {"can.ifname": "can1"})
    (tmp_path / "link").symlink_to("/proc/1/ns/net")
    before = held()
    for path in ("/proc/1/ns/net", str(tmp_path / "link")):
        with pytest.raises(NamespaceError, match="it is the host's own"):
            site.service.join(N, A, path)
        assert held() == before


def test_a_namespace_that_ends_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its container died while it joined: nothing is left."""
    site.network(N)
    site.start(N, B)
    site.service.create_endpoint(N, A, {"can.ifname": "can1"})
    before = held()
    container = Container()
    batch = site.daemon.netlink.batch

    def late(requests: Sequence[Request]) -> list[Message]:
        container.close()
        return batch(requests)

    with monkeypatch.context() as patch:
        patch.setattr(site.daemon.netlink, "batch", late)
        site.service.join(N, A, container.path)
    wait_until(lambda: not (SYS_NET / site.port(N, A)).exists())
    assert held() == before
    site.assert_whole()


def test_a_join_that_is_repeated_is_for_the_namespace_that_it_names(site: Site) -> None:
    """An engine whose answer was lost asks again; the pair of the first time may be elsewhere."""
    site.network(N)
    site.start(N, B)
    site.place(N, A, "can1")
    site.join_placed(N, A)
    site.assert_whole()
    with site.containers[N, A] as first:
        site.join_placed(N, A, Container())
        assert set(first.links()) == {"lo"}
    site.assert_whole()
    assert held()[1] == {"vcan0", site.port(N, A), site.port(N, B)}


def test_a_network_for_which_all_are_called_the_same(site: Site) -> None:
    """One that asks for something else gets that."""
    site.service.create_network(N, {"can.interface": "vcan0", "can.ifname": "drive"})
    for endpoint in (A, B):
        site.create(N, endpoint)
        site.join_placed(N, endpoint)
        assert set(site.containers[N, endpoint].links()) == {"lo", "drive"}
    site.service.create_endpoint(N, C, {"can.name": "own"})
    joined = site.service.join(N, C)
    assert (joined.prefix, joined.placed) == ("own", False)
    site.settle(N, C, joined)
    site.assert_whole()


def test_the_daemon_ends_between_the_endpoint_and_its_join(site: Site) -> None:
    """Docker says the name with the endpoint, and only there."""
    site.network(N)
    site.service.create_endpoint(N, A, {"can.ifname": "can3"})
    site.restart()
    site.join_placed(N, A)
    assert set(site.containers[N, A].links()) == {"lo", "can3"}
    site.assert_whole()


@pytest.mark.parametrize("then", ["asked again", "given up", "died", "state lost"])
def test_the_daemon_ends_in_the_middle_of_the_join(
    site: Site, monkeypatch: pytest.MonkeyPatch, container: Container, tmp_path: Path, then: str
) -> None:
    """The end is in the container, and the host's has neither alias nor rules yet."""
    site.network(N)
    site.start(N, B)
    before = held()
    site.service.create_endpoint(N, A, {"can.ifname": "can1"})
    crash_after_a_send(site, monkeypatch)
    with pytest.raises(Crash):
        site.service.join(N, A, container.path)
    assert "ifalias" not in shown(site.port(N, A))
    assert set(container.links()) == {"lo", "can1"}
    lost = then == "state lost"
    (tmp_path / "state" / "state.json").unlink() if lost else None
    site.restart(adopt=lost)
    site.daemon.maintenance.recover()
    if then == "asked again":
        site.join_placed(N, A, container)
        site.assert_whole()
        return
    if then == "given up":
        site.service.leave(N, A)
        site.service.delete_endpoint(N, A)
    elif then == "died":
        container.close()
        wait_until(lambda: not (SYS_NET / site.port(N, A)).exists())
    assert held() == before
    site.assert_whole()


def test_a_lost_state_is_rebuilt_with_the_names(site: Site, tmp_path: Path) -> None:
    """By the aliases alone: that of an exact name, and that of a prefix as earlier versions had."""
    site.network(N)
    site.start(N, A)
    site.place(N, B, "can5")
    site.service.create_network(M, {"can.interface": "vcan1", "can.ifname": "drive"})
    site.create(M, C)
    site.join_placed(M, C)
    rules = gateway_rules()
    site.restart((tmp_path / "state" / "state.json").unlink, adopt=True)
    networks = site.service.state.networks
    called = [networks[network].ifname_of(endpoint) for network, endpoint in site.containers]
    assert called == [("can", ""), ("", "can5"), ("", "drive")]
    site.daemon.maintenance.recover()
    assert gateway_rules() == rules
    assert exchange(site.members("vcan0"), site.members("vcan1")).faults == []
    site.stop(N, B)
    site.stop(M, C)
    site.service.delete_network(M)
    site.assert_whole()


def test_a_container_that_dies_while_the_daemon_is_away(site: Site) -> None:
    """Without a Leave: nothing of it stays, and it is collected."""
    site.network(N)
    site.start(N, B)
    site.place(N, A, "can1")
    site.restart(lambda: site.die(N, A))
    site.daemon.maintenance.recover()
    site.assert_whole()
    for _look in range(2):
        site.daemon.resync()
    assert set(site.service.state.networks[N].endpoints) == {B}


def test_after_a_power_cut(site: Site) -> None:
    """Docker makes new endpoints, with the same options."""
    site.network(N)
    site.place(N, A, "can1")
    site.power_cut()
    site.daemon.maintenance.recover()
    site.place(N, B, "can1")
    site.assert_whole()


def test_what_cannot_be_written_down_is_not_left_in_the_container(
    site: Site, tmp_path: Path, container: Container
) -> None:
    """A full disk: the container does not start, and has no half a bus."""
    site.service.create_network(N, {"can.interface": "vcan0", "can.ifname": "can1"})
    before = held()
    blocker = tmp_path / "state" / "state.json.new"
    blocker.mkdir()
    with pytest.raises(CanwharfError, match="cannot write"):
        site.service.join(N, A, container.path)
    assert held() == before
    assert set(container.links()) == {"lo"}
    blocker.rmdir()
    site.join_placed(N, A, container)
    site.assert_whole()


def test_rules_that_cannot_be_made_leave_nothing_in_the_container(
    site: Site, monkeypatch: pytest.MonkeyPatch, container: Container
) -> None:
    """Whatever fails behind the pair."""
    site.network(N)
    site.start(N, B)
    before = held()
    batch = site.daemon.netlink.batch

    def hindered(requests: Sequence[Request]) -> list[Message]:
        if any("gateway rule" in request.target for request in requests):
            ip(f"link delete {site.port(N, A)}")
        return batch(requests)

    site.service.create_endpoint(N, A, {"can.ifname": "can1"})
    with monkeypatch.context() as patch:
        patch.setattr(site.daemon.netlink, "batch", hindered)
        with pytest.raises(KernelError, match="No such device"):
            site.service.join(N, A, container.path)
    assert held() == before
    assert set(container.links()) == {"lo"}
    site.join_placed(N, A, container)
    site.assert_whole()


JOIN = """
import sys
from tests.kernel.site import Daemon
daemon = Daemon(sys.argv[1])
daemon.service.create_network("n", {"can.interface": "vcan0", "can.ifname": "can1"})
assert daemon.service.join("n", "e", sys.argv[2]).placed
"""


@contextmanager
def others(words: Sequence[str]) -> Iterator[str]:
    """A process in namespaces of its own; its id."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*words, "sh", "-c", "echo; exec cat"], stdin=pipe, stdout=pipe) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n", "this kernel has no such namespaces"
        yield str(child.pid)
        child.stdin.close()


@pytest.mark.parametrize("user", [False, True], ids=["the-hosts-users", "users-of-its-own"])
def test_cap_net_admin_is_enough(stack: ExitStack, tmp_path: Path, user: bool) -> None:
    """No CAP_SYS_ADMIN, be the container's root the host's or not (userns-remap)."""
    words = ["unshare", "--net", *(["--user", "--map-root-user"] if user else [])]
    process = stack.enter_context(others(words))
    path = tmp_path / "namespace"
    path.touch()
    run("mount", "--bind", f"/proc/{process}/ns/net", str(path))
    stack.callback(run, "umount", str(path))
    few = ["setpriv", "--bounding-set=-all,+net_admin", "--no-new-privs"]
    run(*few, sys.executable, "-c", JOIN, str(tmp_path / "state"), str(path))
    host = naming.host_end("n", "e")
    assert can_interfaces() == {"vcan0", host}
    assert gateway_rules() == linear(["vcan0", host])
    wait_for_carrier(HOST, str(path))
