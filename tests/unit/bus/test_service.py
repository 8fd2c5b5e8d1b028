"""The use cases over the fake kernel: every way a call can go, but its failures (test_undo)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from canwharf.bus import events, naming
from canwharf.errors import ConflictError, KernelError, OptionError, UnknownNetworkError
from tests.fake import wire
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel


def test_a_network_makes_its_bus_interface(daemon: Daemon, kernel: FakeKernel) -> None:
    """Up, FD capable and marked as ours."""
    daemon.service.create_network("n1", {})
    made = kernel.link("vcan0")
    assert (made.kind, made.up, made.mtu, made.alias) == ("vcan", True, 72, "canwharf canwharf bus")
    assert [event.fields["interface"] for event in daemon.said(events.BUS_CREATED)] == ["vcan0"]


def test_an_adapter_is_used_as_it_is(daemon: Daemon, kernel: FakeKernel) -> None:
    """Neither brought up (it may want a bit rate first) nor marked nor deleted."""
    found = kernel.add_link("can0", "can", mtu=16, up=False)
    told, before = found.told(), kernel.snapshot()
    daemon.service.create_network("n1", {"can.interface": "can0"})
    assert found.told() == told
    assert kernel.names() == {"lo", "can0", *daemon.hub("can0")}
    daemon.service.delete_network("n1")
    assert kernel.snapshot() == before


def test_a_foreign_vcan_is_never_deleted_nor_brought_up(daemon: Daemon, kernel: FakeKernel) -> None:
    """Whatever comes and goes on it."""
    kernel.add_link("vcan0", "vcan", up=False)
    before = kernel.snapshot()
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e")
    daemon.service.delete_endpoint("n1", "e")
    daemon.service.delete_network("n1")
    daemon.maintenance.recover()
    assert kernel.snapshot() == before


@pytest.mark.parametrize(
    "alias", ["canwharf rustyvxcan bus", "canwharf rustyvxcan endpoint n9 e9 vcan1 can"]
)
def test_another_drivers_bus_is_refused(daemon: Daemon, kernel: FakeKernel, alias: str) -> None:
    """Two full meshes on one interface would be one bus for neither."""
    kernel.add_link("vcan1" if alias.endswith("bus") else "cwh1", "vcan", alias=alias)
    before = kernel.snapshot()
    with pytest.raises(OptionError, match="vcan1: the driver rustyvxcan has its bus on it"):
        daemon.service.create_network("n1", {"vxcan.id": "1"})
    assert kernel.snapshot() == before
    daemon.service.create_network("n1", {})


@pytest.mark.parametrize("name", ["lo", "PORT"])
def test_an_interface_that_cannot_be_a_bus_is_refused(
    daemon: Daemon, kernel: FakeKernel, name: str
) -> None:
    """One that carries no CAN, or the end of a container's pair: the option is named."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e")
    name = daemon.port("n1", "e") if name == "PORT" else name
    before = kernel.snapshot()
    with pytest.raises(OptionError, match=rf"option can\.interface={name}: it "):
        daemon.service.create_network("n2", {"can.interface": name})
    assert kernel.snapshot() == before
    assert "n2" not in daemon.service.state.networks


def test_a_network_of_the_same_id_with_other_options_is_refused(daemon: Daemon) -> None:
    """Rather than changed under the containers that run on it."""
    daemon.service.create_network("n1", {})
    with pytest.raises(ConflictError, match="n1 exists with other options"):
        daemon.service.create_network("n1", {"vxcan.id": "1"})


def test_the_settings_of_join(daemon: Daemon, kernel: FakeKernel) -> None:
    """The engine moves this interface, and calls it by this prefix."""
    daemon.service.create_network("n1", {"can.name": "can"})
    daemon.service.create_endpoint("n1", "e1", {})
    daemon.service.create_endpoint("n1", "e2", {"can.name": "own"})
    one, two = daemon.service.join("n1", "e1"), daemon.service.join("n1", "e2")
    assert (one.prefix, two.prefix) == ("can", "own")
    assert {one.interface, two.interface} <= kernel.names()


def test_two_containers_and_the_host_are_connected_once(daemon: Daemon, kernel: FakeKernel) -> None:
    """By twelve rules for each container, however many there are.

    With the host and with the hub, to and fro, for classic, FD and error frames.
    """
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    daemon.assert_exactly_once("vcan0")
    assert len(kernel.rules) == 2 * 12
    daemon.run_container("n1", "e3")
    assert len(kernel.rules) == 3 * 12


def test_a_classic_adapter_gets_classic_rules_only(daemon: Daemon, kernel: FakeKernel) -> None:
    """Between the containers FD frames pass all the same."""
    kernel.add_link("can0", "can", mtu=16)
    daemon.service.create_network("n1", {"can.interface": "can0"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    daemon.assert_exactly_once("can0")
    assert len(kernel.rules) == 2 * (4 + 2 + 1)  # and the adapter's error frames to both


ORDERS = [*itertools.islice(itertools.permutations(range(8)), 0, None, 5003)]


@pytest.mark.parametrize("order", ORDERS)
def test_eight_that_are_created_first_and_join_in_any_order(
    daemon: Daemon, order: tuple[int, ...]
) -> None:
    """Docker starts containers in parallel after a reboot; every frame must arrive once."""
    daemon.service.create_network("n1", {})
    for number in range(8):
        daemon.service.create_endpoint("n1", f"e{number}", {})
    for number in order:
        daemon.start_container("n1", f"e{number}")
        daemon.assert_exactly_once("vcan0")
    assert not daemon.said(events.ENDPOINT_SKIPPED)
    assert not daemon.said(events.PAIR_RECREATED)


def test_no_call_lists_the_rules_again(daemon: Daemon, kernel: FakeKernel) -> None:
    """That costs the square of their number; the first look is enough."""
    daemon.service.create_network("n1", {})
    for number in range(8):
        daemon.run_container("n1", f"e{number}")
    for number in range(8):
        daemon.service.delete_endpoint("n1", f"e{number}")
    assert kernel.dumps == 5  # links, rules, and the actions of three kinds


def test_every_call_can_be_made_twice(daemon: Daemon, kernel: FakeKernel) -> None:
    """The engine repeats what it got no answer to; nothing may be duplicated or refused."""
    for _twice in range(2):
        daemon.service.create_network("n1", {"can.name": "can"})
    for _twice in range(2):
        daemon.service.create_endpoint("n1", "e1", {})
    assert daemon.service.join("n1", "e1") == daemon.service.join("n1", "e1")
    daemon.assert_exactly_once("vcan0")
    assert len(kernel.rules) == 12
    assert daemon.service.describe("n1", "e1")["canwharf.bus"] == "vcan0"
    for _twice in range(2):
        daemon.service.leave("n1", "e1")
    for _twice in range(2):
        daemon.service.delete_endpoint("n1", "e1")
    for _twice in range(2):
        daemon.service.delete_network("n1")
    assert kernel.names() == {"lo"}
    assert daemon.service.state.networks == {}


def test_leave_keeps_the_pair(daemon: Daemon, kernel: FakeKernel) -> None:
    """The engine has still to move the container's end back."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    before = kernel.snapshot()
    daemon.service.leave("n1", "e1")
    assert kernel.snapshot() == before


def test_two_networks_on_one_interface_are_one_bus(daemon: Daemon, kernel: FakeKernel) -> None:
    """And the interface goes with the last of them."""
    daemon.service.create_network("n1", {})
    daemon.service.create_network("n2", {"can.name": "can"})
    daemon.run_container("n1", "e1")
    daemon.run_container("n2", "e2")
    daemon.assert_exactly_once("vcan0")
    assert len(kernel.rules) == 2 * 12
    daemon.service.delete_endpoint("n1", "e1")
    daemon.service.delete_network("n1")
    assert "vcan0" in kernel.names()
    daemon.assert_exactly_once("vcan0")
    daemon.service.delete_endpoint("n2", "e2")
    daemon.service.delete_network("n2")
    assert kernel.names() == {"lo"}


def test_two_buses_are_separate(daemon: Daemon) -> None:
    """Frames of one machine must not steer the other."""
    for number in ("1", "2"):
        daemon.service.create_network(f"n{number}", {"vxcan.id": number})
        daemon.run_container(f"n{number}", f"e{number}a")
        daemon.run_container(f"n{number}", f"e{number}b")
    daemon.assert_exactly_once("vcan1")
    daemon.assert_exactly_once("vcan2")


def test_a_network_is_removed_with_the_endpoints_that_are_left(
    daemon: Daemon, kernel: FakeKernel
) -> None:
    """As after a crash of the engine."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    daemon.service.delete_network("n1")
    assert kernel.names() == {"lo"}
    assert kernel.rules == []


@pytest.mark.parametrize("call", ["create_endpoint", "join"])
def test_an_unknown_network_is_an_error_that_says_what_to_do(daemon: Daemon, call: str) -> None:
    """Nothing can be recovered: the options were never ours or are lost."""
    arguments: list[object] = ["nope", "e1"] + ([{}] if call == "create_endpoint" else [])
    words = r"network nope is not known.*state\.json.*Docker.*start the container again"
    with pytest.raises(UnknownNetworkError, match=words):
        getattr(daemon.service, call)(*arguments)


def test_deleting_what_is_unknown_succeeds(daemon: Daemon, kernel: FakeKernel) -> None:
    """Or the engine could never get rid of it."""
    before = kernel.snapshot()
    daemon.service.delete_endpoint("nope", "e1")
    daemon.service.delete_network("nope")
    daemon.service.create_network("n1", {})
    daemon.service.delete_endpoint("n1", "nope")
    assert daemon.service.describe("n1", "nope") == daemon.service.describe("nope", "e") == {}
    daemon.service.delete_network("n1")
    assert kernel.snapshot() == before


# The recovery flow: what is missing at Join is made again.


def test_an_unknown_endpoint_is_made_anew_and_said_so(daemon: Daemon) -> None:
    """The container starts, and an operator can see that something was lost."""
    daemon.service.create_network("n1", {})
    daemon.start_container("n1", "lost")
    (event,) = daemon.said(events.ENDPOINT_RECREATED)
    assert (event.level, event.fields["endpoint"]) == ("warning", "lost")
    daemon.assert_exactly_once("vcan0")
    assert "lost" in daemon.restarted().service.state.networks["n1"].endpoints


def test_a_missing_bus_interface_is_made_again(daemon: Daemon, kernel: FakeKernel) -> None:
    """With every rule of its bus, not only those of who joins."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    kernel.delete_link("vcan0")
    daemon.run_container("n1", "e3")
    (event,) = daemon.said(events.BUS_RECREATED)
    assert (event.level, event.fields["interface"]) == ("warning", "vcan0")
    assert len(daemon.present("vcan0")) == 4
    daemon.assert_exactly_once("vcan0")


def test_a_missing_pair_is_made_again(daemon: Daemon, kernel: FakeKernel) -> None:
    """Somebody deleted it, or the daemon has another life than the endpoint."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    kernel.kill_namespace("e1")
    assert len(daemon.present("vcan0")) == 1
    daemon.start_container("n1", "e1")
    (event,) = daemon.said(events.PAIR_RECREATED)
    assert (event.level, event.fields["endpoint"]) == ("warning", "e1")
    daemon.assert_exactly_once("vcan0")
    assert len(daemon.present("vcan0")) == 2


@pytest.mark.parametrize("linear", [True, False])
def test_an_absent_peer_keeps_no_other_off_the_bus(
    daemon: Daemon, kernel: FakeKernel, linear: bool
) -> None:
    """A Join says which are absent, whatever the shape."""
    if not linear:
        kernel.modules.remove("cls_fw")
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    daemon.run_container("n1", "e2")
    kernel.kill_namespace("e1")
    daemon.run_container("n1", "e3")
    told = [
        (event.level, event.fields["endpoint"]) for event in daemon.said(events.ENDPOINT_SKIPPED)
    ]
    assert told == [("warning", "e1")]
    daemon.assert_exactly_once("vcan0")
    daemon.start_container("n1", "e1")
    assert len(daemon.present("vcan0")) == 4
    daemon.assert_exactly_once("vcan0")


def test_a_reboot(daemon: Daemon, tmp_path: Path) -> None:
    """Networks are known, endpoints new, interfaces gone: several containers start at once."""
    daemon.service.create_network("n1", {"can.name": "can"})
    for name in ("old1", "old2"):
        daemon.run_container("n1", name)
    daemon.end()
    kernel = FakeKernel()
    after = Daemon(tmp_path, kernel, boot="boot-2")
    assert after.left_behind == 2
    for name in ("new1", "new2"):
        after.service.create_endpoint("n1", name, {})
    for name in ("new2", "new1"):
        after.start_container("n1", name)
    assert len(after.present("vcan0")) == 3
    after.assert_exactly_once("vcan0")
    assert not after.said(events.ENDPOINT_SKIPPED)


def test_a_duplicate_rule_is_removed(daemon: Daemon, kernel: FakeKernel) -> None:
    """As an ancestor of this driver left them: every frame arrived twice."""
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e1")
    kernel.add_rule("vcan0", daemon.port("n1", "e1"))
    later = daemon.restarted()
    later.maintenance.recover()
    assert len(later.said(events.RULE_DUPLICATE)) == 1
    later.assert_exactly_once("vcan0")


def test_a_port_whose_name_is_taken_fails_its_join_and_no_other(
    daemon: Daemon, kernel: FakeKernel
) -> None:
    """The engine must not be told of an interface that was not made."""
    theirs = kernel.add_link(naming.host_end("n1", "e1"), "vcan", alias="mine")
    daemon.service.create_network("n1", {})
    daemon.run_container("n1", "e2")
    daemon.service.create_endpoint("n1", "e1", {})
    before = kernel.snapshot()
    with pytest.raises(ConflictError, match=r"host has an interface .*; .* rename"):
        daemon.service.join("n1", "e1")
    assert kernel.snapshot() == before
    daemon.run_container("n1", "e3")
    assert not [each for each in kernel.rules if theirs.index in (each.source, each.destination)]
    kernel.delete_link(theirs.name)
    daemon.start_container("n1", "e1")
    assert len(daemon.present("vcan0")) == 4
    daemon.assert_exactly_once("vcan0")


def test_foreign_rules_stay(daemon: Daemon, kernel: FakeKernel) -> None:
    """Somebody's filtered rule between our own interfaces, and any rule between others."""
    kernel.add_link("can7", "can")
    daemon.service.create_network("n1", {})
    foreign = [
        kernel.add_rule("vcan0", "can7"),
        kernel.add_rule("can7", "vcan0", more=wire.attribute(wire.FILTER, bytes(8))),
        kernel.add_rule("can7", "vcan0", flags=0),
    ]
    later = daemon.restarted()
    later.maintenance.recover()
    later.run_container("n1", "e1")
    later.service.delete_endpoint("n1", "e1")
    assert sorted(kernel.rules) == sorted(foreign)
    assert kernel.flushes == 0


def test_missing_modules_are_named(tmp_path: Path) -> None:
    """Each by the call that needs it, with the remedy."""
    for module, words in (("vcan", "vcan is not"), ("vxcan", "vxcan is"), ("can-gw", "can-gw is")):
        kernel = FakeKernel(modules={"vcan", "vxcan", "can-gw"} - {module})
        daemon = Daemon(tmp_path / module, kernel)
        before = kernel.snapshot()
        with pytest.raises(KernelError, match=words):  # noqa: PT012 - which call it is depends
            daemon.service.create_network("n1", {})
            before = kernel.snapshot()
            daemon.service.create_endpoint("n1", "e1", {})
            daemon.service.join("n1", "e1")
        assert kernel.snapshot() == before


def test_a_join_works_out_no_other_port_of_its_bus(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a hash or two: on a full bus and a small board that is most of what we compute."""
    daemon.service.create_network("n1", {})
    for number in range(20):
        daemon.run_container("n1", f"e{number}")
    daemon.service.create_endpoint("n1", "new", {})
    named: list[str] = []
    real = naming.host_end

    def host_end(network: str, endpoint: str) -> str:
        named.append(endpoint)
        return real(network, endpoint)

    monkeypatch.setattr(naming, "host_end", host_end)
    daemon.service.join("n1", "new")
    assert set(named) == {"new"}
