"""Names in the container over the fake kernel: who makes the interface, and what is remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from canwharf.bus import naming
from canwharf.bus.model import Endpoint, Settings
from canwharf.bus.naming import Ifname
from canwharf.daemon.calls import Calls, front_ends
from canwharf.docker import api
from canwharf.errors import ConflictError, KernelError, NamespaceError, OptionError, RequestError
from canwharf.kernel import namespace
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from tests.fake.answers import Crash
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

IFNAME = "com.docker.network.endpoint.ifname"
IDS = {"NetworkID": "n1", "EndpointID": "e1"}


@pytest.fixture(autouse=True)
def _namespaces(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "opened", kernel.opened)


@pytest.fixture
def docker(daemon: Daemon) -> Calls:
    daemon.service.create_network("n1", {"can.name": "can"})
    return front_ends(daemon.service, daemon.maintenance.sync)


def call(docker: Calls, name: str, more: Mapping[str, object]) -> dict[str, object]:
    _status, body = docker.answer(f"/NetworkDriver.{name}", json.dumps({**IDS, **more}).encode())
    answer: dict[str, object] = json.loads(body)
    return answer


@pytest.mark.parametrize("option", ["can.ifname", IFNAME])
def test_docker_is_told_to_leave_it_alone(
    docker: Calls, daemon: Daemon, kernel: FakeKernel, option: str
) -> None:
    """By our word and by Compose's; Docker would give it a number otherwise."""
    assert call(docker, "CreateEndpoint", {"Options": {option: "can1"}}) == {}
    answer = call(docker, "Join", {"SandboxKey": "/ns/c"})
    assert answer == {"DisableGatewayService": True}
    [inside] = kernel.links("c")
    assert (inside.name, inside.kind, inside.up, inside.mtu) == ("can1", "vxcan", True, 72)
    daemon.assert_exactly_once("vcan0")
    assert call(docker, "Leave", {}) == call(docker, "DeleteEndpoint", {}) == {}
    assert kernel.links("c") == []
    assert kernel.names() == {"lo", "vcan0", *daemon.hub("vcan0")}


def test_two_words_for_one_name(docker: Calls) -> None:
    """Equal they are no contradiction."""
    for name, refused in (("can1", False), ("can2", True)):
        options = {"can.ifname": "can1", IFNAME: name}
        answer = call(docker, "CreateEndpoint", {"Options": options})
        assert ("can.ifname=can1: interface_name says" in str(answer)) is refused


@pytest.mark.parametrize("key", [None, "", "/run/docker/netns/none"])
def test_where_the_namespace_comes_later_the_join_says_what_to_do(
    docker: Calls, kernel: FakeKernel, key: str | None
) -> None:
    """As with Docker before version 28; nothing is made, under this or any other name."""
    call(docker, "CreateEndpoint", {"Options": {"can.ifname": "can1"}})
    before = kernel.snapshot()
    said = str(call(docker, "Join", {"SandboxKey": key})["Err"])
    for words in ("cannot make interface can1", "from version 28 on", "use can.name instead"):
        assert words in said
    assert kernel.snapshot() == before


@pytest.mark.parametrize("key", [5, "relative", "/with\0zero", "/half\ud800", ["/x"]])
def test_a_namespace_is_a_path(docker: Calls, key: object) -> None:
    """A request that is not of the protocol's form, and no internal error."""
    with pytest.raises(RequestError, match="field SandboxKey must be a path"):
        api.join_request({**IDS, "SandboxKey": key})
    assert "SandboxKey" in str(call(docker, "Join", {"SandboxKey": key})["Err"])


@pytest.mark.parametrize("path", ["", "/var/run/docker/netns/x"])
def test_an_older_engine_moves_and_numbers_it(docker: Calls, path: str) -> None:
    """It has made no namespace yet, so there is no whole name in there either."""
    call(docker, "CreateEndpoint", {})
    names = call(docker, "Join", {"SandboxKey": path})["InterfaceName"]
    assert names == {"SrcName": naming.container_end("n1", "e1"), "DstPrefix": "can"}


def test_with_a_prefix_it_is_put_in_place_too(
    docker: Calls, daemon: Daemon, kernel: FakeKernel
) -> None:
    """And its record is as before: a daemon of either kind knows it again."""
    call(docker, "CreateEndpoint", {})
    assert call(docker, "Join", {"SandboxKey": "/ns/c"}) == {"DisableGatewayService": True}
    assert [(link.name, link.up) for link in kernel.links("c")] == [("can0", True)]
    told = kernel.link(naming.host_end("n1", "e1")).alias
    assert told == "canwharf canwharf endpoint n1 e1 vcan0 can"
    daemon.assert_exactly_once("vcan0")
    assert not daemon.restarted().maintenance.sync().steps


@pytest.mark.parametrize("prefix", ["eth", "can"])
def test_what_the_engine_counts_is_left_to_it(
    daemon: Daemon, kernel: FakeKernel, prefix: str
) -> None:
    """It would name its own eth0, or a moved adapter can0, and come upon ours."""
    kernel.plug("can5")
    moved = {"can.interface": "can5", "can.mode": "move", "can.name": "can"}
    daemon.service.create_network("n1", moved)
    daemon.service.create_network("n2", {"can.name": prefix})
    daemon.service.create_endpoint("n2", "e1", {})
    joined = daemon.service.join("n2", "e1", "/ns/c")
    assert (joined.prefix, joined.placed) == (prefix, False)
    daemon.service.create_endpoint("n2", "e2", {"can.name": "own"})
    assert daemon.service.join("n2", "e2", "/ns/c").placed


def test_the_networks_name_is_for_all_that_say_nothing(daemon: Daemon, kernel: FakeKernel) -> None:
    daemon.service.create_network("n1", {"can.ifname": "drive"})
    for endpoint, asked in (("e1", {}), ("e2", {"can.ifname": "own"}), ("e3", {"can.name": "p"})):
        daemon.service.create_endpoint("n1", endpoint, asked)
        assert daemon.service.join("n1", endpoint, f"/ns/{endpoint}").placed
    named = [kernel.links(each)[0].name for each in ("e1", "e2", "e3")]
    assert named == ["drive", "own", "p0"]
    daemon.assert_exactly_once("vcan0")


def test_a_name_that_is_taken_in_the_container(daemon: Daemon, kernel: FakeKernel) -> None:
    """By the other bus: the second says so and leaves nothing."""
    daemon.service.create_network("n1", {"can.ifname": "can1"})
    daemon.service.create_network("n2", {"can.ifname": "can1", "vxcan.id": "1"})
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.service.create_endpoint("n2", "e2", {})
    daemon.service.join("n1", "e1", "/ns/c")
    before = kernel.snapshot()
    with pytest.raises(KernelError, match="can1 is taken in this container"):
        daemon.service.join("n2", "e2", "/ns/c")
    assert kernel.snapshot() == before
    assert len(kernel.links("c")) == 1


def test_a_pair_whose_own_name_is_taken_on_the_host(daemon: Daemon, kernel: FakeKernel) -> None:
    """The error is about that, and not about the name in the container, which is free."""
    daemon.service.create_network("n1", {})
    daemon.service.create_endpoint("n1", "e1", {"can.ifname": "can1"})
    theirs = kernel.add_link(naming.host_end("n1", "e1"), "vcan", alias="mine")
    before = kernel.snapshot()
    with pytest.raises(ConflictError, match=f"pair {theirs.name}: the host has an interface"):
        daemon.service.join("n1", "e1", "/ns/c")
    assert kernel.snapshot() == before


def test_a_name_that_the_host_has_too(daemon: Daemon, kernel: FakeKernel) -> None:
    """Older kernels would look for it there."""
    kernel.add_link("can1", "can", mtu=16)
    daemon.service.create_network("n1", {"can.interface": "can1", "can.ifname": "can1"})
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.service.join("n1", "e1", "/ns/c")
    assert kernel.links("c")[0].name == "can1"
    daemon.assert_exactly_once("can1")


def test_the_name_is_kept_over_a_restart(daemon: Daemon, kernel: FakeKernel) -> None:
    """The engine says it with the endpoint; the daemon may end before the Join."""
    daemon.service.create_network("n1", {"can.ifname": "can1"})
    daemon.service.create_endpoint("n1", "e1", {"can.ifname": "can2"})
    later = daemon.restarted()
    network = later.service.state.networks["n1"]
    assert network.settings == Settings("vcan0", "vcanp", name="can1")
    assert network.endpoints == {"e1": Endpoint(Ifname(name="can2"))}
    assert later.service.join("n1", "e1", "/ns/c").placed
    assert kernel.links("c")[0].name == "can2"


def test_a_state_of_an_earlier_version_is_read(daemon: Daemon) -> None:
    """It knows no exact names."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.service.create_endpoint("n1", "e1", {"can.name": "own"})
    content = json.loads(Path(daemon.store.path).read_text())
    del content["networks"]["n1"]["name"]
    del content["networks"]["n1"]["endpoints"]["e1"]["name"]
    Path(daemon.store.path).write_text(json.dumps(content))
    assert daemon.restarted().service.state == daemon.service.state


def test_a_state_that_was_edited_has_the_whole_name(daemon: Daemon) -> None:
    """Beside it a prefix says nothing; the pair was given its alias anew at each resync."""
    daemon.service.create_network("n1", {})
    daemon.service.create_endpoint("n1", "e1", {"can.ifname": "can1"})
    daemon.service.join("n1", "e1", "/ns/c")
    content = json.loads(Path(daemon.store.path).read_text())
    content["networks"]["n1"]["endpoints"]["e1"]["prefix"] = "can"
    Path(daemon.store.path).write_text(json.dumps(content))
    assert not daemon.restarted().maintenance.sync().steps


@pytest.mark.parametrize("sends", [1, 2])
def test_an_end_in_the_middle_leaves_nothing_that_is_not_known(
    daemon: Daemon, kernel: FakeKernel, sends: int
) -> None:
    """Be the endpoint known or lost with the state: its other end is away from the first send."""
    daemon.service.create_network("n1", {})
    daemon.service.create_endpoint("n1", "e1", {"can.ifname": "can1"})
    kernel.crash_after(sends)
    with pytest.raises(Crash):
        daemon.service.join("n1", "e1", "/ns/c")
    kernel.stop_faults()
    lost = daemon.restarted()
    lost.service.state = lost.service.state.without_endpoint("n1", "e1")
    lost.maintenance.recover()
    assert len(kernel.links("c")) == sends - 1  # one with an alias is adopted, never removed
    lost.assert_exactly_once("vcan0")
    assert lost.service.join("n1", "e1", "/ns/c").placed if sends == 2 else True
    lost.assert_exactly_once("vcan0")


@pytest.mark.parametrize("dying", ["e2", "e1"])
def test_who_dies_while_a_join_is_repeated(
    daemon: Daemon, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, dying: str
) -> None:
    """A neighbour's death is not our failure, nor is that of the pair which is to be replaced."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e2")
    daemon.service.create_endpoint("n1", "e1", {"can.ifname": "can1"})
    daemon.service.join("n1", "e1", "/ns/c")
    batch = kernel.batch

    def late(requests: Sequence[Request]) -> list[Message]:
        monkeypatch.setattr(kernel, "batch", batch)
        kernel.delete_link(naming.host_end("n1", dying))
        return batch(requests)

    monkeypatch.setattr(kernel, "batch", late)
    assert daemon.service.join("n1", "e1", "/ns/c").placed
    assert [link.name for link in kernel.links("c")] == ["can1"]
    daemon.assert_exactly_once("vcan0")
    assert len(kernel.rules) == 12 * (len(daemon.present("vcan0")) - 1)


def test_a_moved_adapter_has_the_name_that_the_engine_gives(
    daemon: Daemon, kernel: FakeKernel
) -> None:
    """We could not take it back from a running container."""
    kernel.add_link("can0", "can", mtu=16)
    moved = {"can.interface": "can0", "can.mode": "move", "can.type": "physical"}
    with pytest.raises(OptionError, match=r"can\.ifname=can1: with can\.mode=move .*can\.name"):
        daemon.service.create_network("n1", {**moved, "can.ifname": "can1"})
    daemon.service.create_network("n1", moved)
    with pytest.raises(OptionError, match=r"can\.ifname=can1: with can\.mode=move .*can\.name"):
        daemon.service.create_endpoint("n1", "e1", {"can.ifname": "can1"})
    assert daemon.service.state.networks["n1"].endpoints == {}


def test_adopted_by_the_alias_alone(daemon: Daemon, kernel: FakeKernel) -> None:
    """The state is lost, and Docker does not answer; both forms of an alias are read."""
    daemon.service.create_network("n1", {"can.ifname": "can1"})
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.service.join("n1", "e1", "/ns/c")
    kernel.add_link(
        naming.host_end("n1", "e2"), "vxcan", alias="canwharf canwharf endpoint n1 e2 vcan0 can"
    )
    before = kernel.snapshot()
    Path(daemon.store.path).unlink()
    later = daemon.restarted()
    later.service.adopt_pairs(lost=True)
    network = later.service.state.networks["n1"]
    assert [network.ifname_of(each) for each in ("e1", "e2")] == [("", "can1"), ("can", "")]
    later.maintenance.repair()
    assert kernel.snapshot().links == before.links


def test_whose_namespace_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real thing: a network's, and nothing else; and no descriptor is left."""
    monkeypatch.undo()
    before = os.listdir("/proc/self/fd")
    own = "/proc/self/ns/net"
    with monkeypatch.context() as patch:
        # An unprivileged test has no other than its own.
        patch.setattr(namespace, "_OWN", "/")
        with namespace.opened(own, "it") as descriptor:
            assert os.fstat(descriptor).st_ino == os.stat(own).st_ino
            assert not os.get_inheritable(descriptor)
    for path in (own, "/proc/self/ns/uts", str(tmp_path), str(tmp_path / "none"), "/dev/null", ""):
        with (
            pytest.raises(NamespaceError, match=f"cannot make it in .*{path}"),
            namespace.opened(path, "it"),
        ):
            raise AssertionError
    assert os.listdir("/proc/self/fd") == before


# A whole name and a prefix in one container


def beside(docker: Calls, daemon: Daemon, path: str) -> dict[str, object]:
    """A container has can0 by its whole name; the answer to a Join on a second bus, by prefix."""
    daemon.service.create_network("n2", {"can.interface": "vcan1", "can.name": "can"})
    assert call(docker, "CreateEndpoint", {"Options": {"can.ifname": "can0"}}) == {}
    assert call(docker, "Join", {"SandboxKey": "/ns/c"}) == {"DisableGatewayService": True}
    second = {"NetworkID": "n2", "EndpointID": "e2"}
    assert call(docker, "CreateEndpoint", second) == {}
    return call(docker, "Join", {**second, "SandboxKey": path})


def test_a_prefix_beside_a_whole_name_gets_the_next_number(
    docker: Calls, daemon: Daemon, kernel: FakeKernel
) -> None:
    """Docker would count from 0, come upon can0, and name an interface of ours in its error."""
    assert beside(docker, daemon, "/ns/c") == {"DisableGatewayService": True}
    assert {link.name for link in kernel.links("c")} == {"can0", "can1"}
    daemon.assert_exactly_once("vcan0")
    daemon.assert_exactly_once("vcan1")
    later = daemon.restarted()
    assert later.maintenance.recover()
    later.assert_exactly_once("vcan1")
    call(front_ends(later.service, later.maintenance.sync), "DeleteEndpoint", {})
    assert {link.name for link in kernel.links("c")} == {"can1"}


def test_in_another_container_it_has_the_first(
    docker: Calls, daemon: Daemon, kernel: FakeKernel
) -> None:
    beside(docker, daemon, "/ns/d")
    assert {link.name for link in kernel.links("d")} == {"can0"}


def test_another_error_is_reported_at_once(docker: Calls, kernel: FakeKernel) -> None:
    """The engine is not asked to move what could not be put in place."""
    call(docker, "CreateEndpoint", {})
    kernel.refuse(1)
    answer = call(docker, "Join", {"SandboxKey": "/ns/c"})
    assert "Cannot allocate memory" in str(answer["Err"])
    assert kernel.links("c") == []
