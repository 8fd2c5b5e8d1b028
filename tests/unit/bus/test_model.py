"""The desired state as a value."""

from __future__ import annotations

from typing import NamedTuple, cast

from canwharf.bus.fault import Fault
from canwharf.bus.model import OPEN, Endpoint, Network, Policy, Settings, State
from canwharf.bus.naming import EndpointOwner, Ifname, format_alias

EMPTY = State("canwharf", {})
ONE = Network("n1", Settings("vcan0", "can"), {})
TWO = Network("n2", Settings("vcan0", "vx"), {})
OTHER = Network("n3", Settings("can1", "can"), {})


def test_a_state_is_replaced_never_changed() -> None:
    """Who holds the old one can go back to it: the undo of a failed call."""
    full = EMPTY.with_network(ONE).with_endpoint("n1", "e1", Endpoint())
    assert EMPTY.networks == {}
    assert ONE.endpoints == {}
    assert full.without_endpoint("n1", "e1") == EMPTY.with_network(ONE)
    assert full.without_network("n1") == EMPTY
    assert dict(full.networks["n1"].endpoints) == {"e1": Endpoint()}


def test_networks_on_one_interface_are_one_bus() -> None:
    """Containers of both are connected."""
    state = EMPTY.with_network(ONE).with_network(TWO).with_network(OTHER)
    state = state.with_endpoint("n1", "e1", Endpoint()).with_endpoint("n2", "e2", Endpoint())
    assert state.interfaces() == ["vcan0", "can1"]
    bus = state.bus("vcan0")
    assert bus is not None
    assert bus.interface.name == "vcan0"
    owners = [port.owner for port in bus.endpoints]
    assert [each.endpoint for each in owners if isinstance(each, EndpointOwner)] == ["e1", "e2"]


def test_an_interface_that_no_network_names_is_no_bus() -> None:
    """It is to go with the last of its networks."""
    state = EMPTY.with_network(ONE)
    assert state.bus("can1") is None
    assert state.without_network("n1").bus("vcan0") is None


def test_the_owner_tells_all_about_an_endpoint() -> None:
    """Enough for the next daemon, and for a person who reads `ip link`."""
    state = EMPTY.with_network(ONE).with_endpoint("n1", "e1", Endpoint(Ifname("own")))
    port = state.port(state.networks["n1"], "e1")
    assert port.owner == EndpointOwner("canwharf", "n1", "e1", "vcan0", Ifname("own"))


def test_an_endpoints_own_prefix_goes_before_its_networks() -> None:
    """As the user asked for it."""
    state = (
        EMPTY.with_network(ONE)
        .with_endpoint("n1", "e1", Endpoint(Ifname("own")))
        .with_endpoint("n1", "e2", Endpoint())
    )
    network = state.networks["n1"]
    assert [network.ifname_of(each).prefix for each in ("e1", "e2", "unknown")] == [
        "own",
        "can",
        "can",
    ]


class WideIfname(NamedTuple):
    """An interface's name, as it would be with one field more."""

    prefix: str = ""
    name: str = ""
    altname: str = ""


class WideEndpoint(NamedTuple):
    """An endpoint's options, as they would be with one more."""

    ifname: Ifname | None = None
    policy: Policy | None = OPEN
    injected: tuple[Fault, ...] = ()
    altname: str = ""


def test_an_endpoint_with_one_more_option_keeps_its_networks_prefix() -> None:
    """A field that is added neither shifts the others nor counts as a name."""
    endpoint = cast(Endpoint, WideEndpoint(altname="x"))
    network = ONE._replace(endpoints={"e1": endpoint})
    assert network.ifname_of("e1") == Ifname("can")
    assert network.with_ifnames({"e1": Ifname("can")}).endpoints == {"e1": endpoint}
    port = EMPTY.with_network(network).port(network, "e1")
    assert format_alias(port.owner) == "canwharf canwharf endpoint n1 e1 vcan0 can"


def test_a_name_with_one_more_field_has_the_same_alias() -> None:
    """Or an upgrade would not know the interfaces of running containers again."""
    for narrow, wide in (
        (Ifname("own"), WideIfname("own", altname="x")),
        (Ifname(name="can1"), WideIfname(name="can1", altname="x")),
    ):
        owner = EndpointOwner("canwharf", "n1", "e1", "vcan0", narrow)
        assert format_alias(owner._replace(ifname=cast(Ifname, wide))) == format_alias(owner)
