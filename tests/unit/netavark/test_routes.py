"""Podman's calls, as netavark makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from canwharf.bus import attach, events, naming, span
from canwharf.bus.attach import Collector
from canwharf.bus.maintain import PATIENCE
from canwharf.bus.model import Policy
from canwharf.kernel import namespace
from canwharf.netavark import routes
from tests.fake.answers import Crash
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.runtime import DRIVE, Runtime


@pytest.fixture(autouse=True)
def _namespaces(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "opened", kernel.opened)


@pytest.fixture
def podman(daemon: Daemon) -> Runtime:
    return Runtime(daemon)


def on(interface: str, name: str = "body", **more: object) -> dict[str, object]:
    """Another network."""
    return {**DRIVE, "name": name, "options": {"can.interface": interface, **more}}


def names(kernel: FakeKernel, container: str) -> list[str]:
    return sorted(link.name for link in kernel.links(container))


def test_one_life(podman: Runtime, kernel: FakeKernel) -> None:
    """Two containers hear each other; when both have stopped, the host still has its bus."""
    answer = podman.setup("web")
    shown = {"mac_address": "00:00:00:00:00:00", "subnets": []}
    assert answer["interfaces"] == {"can0": shown}
    podman.setup("log", interface_name="drive0")
    assert (names(kernel, "web"), names(kernel, "log")) == (["can0"], ["drive0"])
    podman.daemon.assert_exactly_once("vcan0")
    podman.teardown("web")
    podman.teardown("log")
    podman.teardown("log")
    assert kernel.names() == {"lo", "vcan0", *podman.daemon.hub("vcan0")}


def test_a_bus_across_hosts(podman: Runtime) -> None:
    """As a network of Docker: `canwharf span` learns of it."""
    podman.setup("web", on("vcan0", **{"can.span": "bench7"}))
    told = span.published(podman.daemon.service.state)
    assert told["buses"] == {"vcan0": {"name": "bench7", "max_age": 500}}


def test_a_network_is_kept_without_addresses(podman: Runtime) -> None:
    """Or Podman gives its containers some, and starts a name server for it."""
    status, kept = podman.call(["create"], {**DRIVE, "dns_enabled": True, "labels": {"a": "b"}})
    assert status == 200
    assert kept == {
        **DRIVE,
        "labels": {"a": "b"},
        "dns_enabled": False,
        "ipam_options": {"driver": "none"},
    }
    assert podman.daemon.service.state.networks == {}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("options", None, "Docker's API on Podman's socket drops options"),
        ("options", {"can.interfce": "vcan0"}, "the option can.interface is missing"),
        ("options", {"can.interface": "vcan0", "can.bitrat": "5"}, "can.bitrate"),
        ("options", {"can.interface": "a/b"}, "can.interface=a/b"),
        ("options", [], "the field options must be an object"),
        ("subnets", [{"subnet": "10.0.0.0/24"}], "leave --subnet away"),
        ("ipv6_enabled", True, "leave --ipv6 away"),
        ("network_interface", "vcan0", "--opt can.interface=NAME"),
        ("name", "", "the field name"),
    ],
)
def test_a_network_that_could_not_work_is_not_created(
    podman: Runtime, field: str, value: object, words: str
) -> None:
    """The user reads why, and not at the first start of a container."""
    status, answer = podman.call(["create"], {**DRIVE, field: value})
    assert status == 400
    assert words in answer["error"]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"static_ips": ["10.0.0.1"]}, "leave --ip and --ip6 away"),
        ({"static_mac": "92:00:00:00:00:01"}, "leave --mac-address away"),
        ({"options": {"bogus": ""}}, "option bogus"),
        ({"interface_name": "a" * 16}, "at most 15 fit"),
        ({"interface_name": "can1", "options": {"can.ifname": "can2"}}, "give one of the two"),
        ({"interface_name": 5}, "the field interface_name"),
    ],
)
def test_what_a_container_cannot_have_is_refused(
    podman: Runtime, kernel: FakeKernel, there: dict[str, Any], words: str
) -> None:
    """And nothing is left behind: Podman makes no teardown for a setup that failed."""
    assert words in podman.setup("web", **there)
    assert kernel.names() == {"lo"}
    assert podman.daemon.service.state.networks == {}


def test_an_interface_that_is_deleted_while_its_container_runs(
    podman: Runtime, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back under its name, and is not taken for one whose container has ended."""
    monkeypatch.setattr(attach, "_NAMED", ("/ns/",))
    collector = Collector(podman.daemon.service, lambda _network: True)
    collector.run(0.0)
    podman.setup("web", interface_name="can7")
    [network] = podman.daemon.service.state.networks.values()
    [endpoint] = network.endpoints
    kernel.delete_link(naming.host_end(network.id, endpoint))
    podman.daemon.maintenance.run(1.0, active=True)
    collector.run(1.0)
    assert names(kernel, "web") == ["can7"]
    podman.daemon.assert_exactly_once("vcan0")


def test_a_containers_own_policy(podman: Runtime) -> None:
    """Its words are behind its network's name; the network's are for the others."""
    strict = on("vcan0", **{"can.send": "100-1FF"})
    podman.setup("web", strict, options={"can.send": "none", "can.rate": "100"})
    podman.setup("log", strict)
    [network] = podman.daemon.service.state.networks.values()
    policies = {naming.label_of(each): network.policy_of(each) for each in network.endpoints}
    assert policies == {"web": Policy("none", "", "100"), "log": Policy("100-1FF")}


def test_a_reload(podman: Runtime, kernel: FakeKernel) -> None:
    """`podman network reload` asks for the MAC address that it was told."""
    told = podman.setup("web")["interfaces"]["can0"]
    podman.teardown("web")
    podman.setup("web", static_mac=told["mac_address"], static_ips=[])
    assert names(kernel, "web") == ["can0"]


def test_names_are_the_lowest_free_ones(podman: Runtime, kernel: FakeKernel) -> None:
    """Never eth1, whatever other networks the container has."""
    podman.setup("web", on("vcan1", "one"), interface_name="eth1")
    podman.setup("web", on("vcan2", "two"), interface_name="can1")
    podman.setup("web", on("vcan3", "three"), interface_name="eth2")
    podman.setup("web", on("vcan4", "four"), options={"can.name": "fast"})
    podman.setup("web", on("vcan5", "five", **{"can.ifname": "body"}))
    podman.setup("web", on("vcan6", "six", **{"can.name": "lin"}))
    assert names(kernel, "web") == ["body", "can0", "can1", "can2", "fast0", "lin0"]


def test_a_name_that_something_else_has(podman: Runtime, kernel: FakeKernel) -> None:
    """An interface that the container got from another program."""
    kernel.add_link("theirs", "vcan")
    kernel.move("theirs", "web", new_name="can0")
    assert "can1" in podman.setup("web")["interfaces"]
    assert "is taken" in podman.setup("web", on("vcan3", "three"), interface_name="can0")
    assert names(kernel, "web") == ["can0", "can1"]
    assert "vcan3" not in kernel.names()


def test_a_setup_without_a_teardown_replaces(podman: Runtime, kernel: FakeKernel) -> None:
    """After a power cut, and under a new name of the container."""
    podman.setup("web")
    kernel.kill_namespace("web")
    content = {"container_id": "webid", "container_name": "renamed", "network": DRIVE}
    content["network_options"] = {"interface_name": "can7"}
    assert podman.call(["setup", "/ns/next"], content)[0] == 200
    assert names(kernel, "next") == ["can7"]
    [network] = podman.daemon.service.state.networks.values()
    assert len(network.endpoints) == 1
    podman.daemon.assert_exactly_once("vcan0")


def test_a_network_that_was_created_anew_with_other_options(
    podman: Runtime, kernel: FakeKernel
) -> None:
    """Podman does not say that the old one is gone."""
    podman.setup("web")
    assert "other options" in podman.setup("log", on("vcan1", "drive"))
    podman.teardown("web")
    podman.setup("log", on("vcan1", "drive"))
    assert kernel.names() >= {"vcan1"}
    assert "vcan0" not in kernel.names()


def test_networks_that_podman_forgot_are_collected(
    podman: Runtime, kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`podman network rm` says nothing; one whose file is there stays, and so does one in use."""
    monkeypatch.setattr(routes, "NETWORKS", str(tmp_path))
    (tmp_path / "drive.json").touch()
    idle = Collector(podman.daemon.service, routes.recorded)
    podman.setup("web")
    podman.setup("web", on("vcan1"))
    assert idle.run(-1.0) == 0.0
    assert idle.run(0.0) is None
    podman.teardown("web")
    podman.teardown("web", on("vcan1"))
    assert idle.run(1.0) == 1.0 + PATIENCE
    assert idle.run(PATIENCE) == 1.0 + PATIENCE
    assert idle.run(1.0 + PATIENCE) is None
    assert kernel.names() == {"lo", "vcan0", *podman.daemon.hub("vcan0")}
    (tmp_path / "drive.json").unlink()
    podman.daemon.service.create_network("e1", {"can.interface": "vcan9"})  # Docker's
    idle.run(2.0 + PATIENCE)
    assert kernel.names() == {"lo", "vcan9", *podman.daemon.hub("vcan9")}


def test_an_endpoint_that_went_without_a_word(podman: Runtime, kernel: FakeKernel) -> None:
    """`podman rm` without a daemon succeeds; `status` must not show it for the rest of the boot."""
    podman.setup("web")
    podman.setup("log")
    kernel.kill_namespace("web")
    collector = Collector(podman.daemon.service, lambda _network: True)
    collector.run(0.0)
    collector.run(1.0)
    [network] = podman.daemon.service.state.networks.values()
    assert [naming.label_of(each) for each in network.endpoints] == ["log"]
    [event] = podman.daemon.said(events.ENDPOINT_COLLECTED)
    assert event.fields["network"] == "podman.drive"
    podman.daemon.assert_exactly_once("vcan0")


def test_a_network_of_docker_on_the_same_bus(podman: Runtime) -> None:
    """Each container hears each, once."""
    daemon = podman.daemon
    daemon.service.create_network("a1", {"can.interface": "vcan0"})
    daemon.run_container("a1", "b2")
    podman.setup("web")
    daemon.assert_exactly_once("vcan0")
    assert len(daemon.present("vcan0")) == 3
    podman.teardown("web")
    daemon.assert_exactly_once("vcan0")


def test_a_crash_at_each_step_leaves_what_the_next_setup_replaces(
    tmp_path: Path,
) -> None:
    """The daemon is killed between any two sends to the kernel, and started again."""
    survived = 0
    for step in range(1, 12):
        kernel = FakeKernel()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(namespace, "opened", kernel.opened)
            daemon = Daemon(tmp_path / str(step), kernel)
            Runtime(daemon).setup("log")
            kernel.crash_after(step)
            try:
                Runtime(daemon).setup("web")
                survived += 1
            except Crash:
                pass
            kernel.crash_after(0)
            podman = Runtime(daemon.restarted())
            podman.daemon.maintenance.sync()
            podman.setup("web")
            podman.daemon.assert_exactly_once("vcan0")
            assert names(kernel, "web") == ["can0"]
            podman.teardown("web")
            podman.teardown("log")
            assert kernel.names() == {"lo", "vcan0", *podman.daemon.hub("vcan0")}
    assert survived


@pytest.mark.parametrize("verb", ["create", "setup", "teardown"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b"x" * 1_000_000, b"{}"]
)
def test_bad_input_is_an_error_in_podmans_form(
    podman: Runtime, kernel: FakeKernel, verb: str, content: bytes
) -> None:
    """Whole on the user's terminal, and nothing is left behind."""
    status, answer = podman.call([verb, "/ns/c"], content)
    assert (status, list(answer)) == (400, ["error"])
    assert kernel.names() == {"lo"}
    assert podman.daemon.said(events.CALL_REFUSED)
    assert not podman.daemon.said(events.INTERNAL)


@pytest.mark.parametrize("words", [[], ["update"], ["--help"], ["setup\n"]])
def test_an_unknown_verb(podman: Runtime, words: list[str]) -> None:
    """As from a person who starts the executable."""
    status, answer = podman.call(words, {})
    assert status == 400
    assert "create, setup, teardown, info" in answer["error"]


def test_a_namespace_that_is_gone(podman: Runtime, kernel: FakeKernel) -> None:
    """The container ended before its setup."""
    status, answer = podman.call(
        ["setup", "/gone"],
        {"container_id": "c", "network": DRIVE, "network_options": {"interface_name": "eth0"}},
    )
    assert status == 400
    assert "cannot make interface can0" in answer["error"]
    assert kernel.names() == {"lo"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verb=st.sampled_from(["create", "setup", "teardown"]),
    network=anything | st.fixed_dictionaries({"name": anything, "options": anything}),
    there=anything | st.fixed_dictionaries({"interface_name": anything, "options": anything}),
    container=anything,
)
def test_whatever_comes_the_answer_has_podmans_form(
    podman: Runtime, verb: str, network: object, there: object, container: object
) -> None:
    """Never an internal error."""
    content = {"network": network, "network_options": there, "container_id": container}
    podman.call([verb, "/ns/c"], network if verb == "create" else content)
    assert not podman.daemon.said(events.INTERNAL)
