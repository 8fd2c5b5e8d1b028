"""The desired state as a value."""

from __future__ import annotations

from canwharf.bus.model import Endpoint, Network, Settings, State
from canwharf.bus.naming import EndpointAlias, parse_alias

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
    """Containers of both hear each other."""
    state = EMPTY.with_network(ONE).with_network(TWO).with_network(OTHER)
    state = state.with_endpoint("n1", "e1", Endpoint()).with_endpoint("n2", "e2", Endpoint())
    assert state.interfaces() == ["vcan0", "can1"]
    bus = state.bus("vcan0")
    assert bus is not None
    assert bus.interface.name == "vcan0"
    owners = [parse_alias(port.alias) for port in bus.endpoints]
    assert [each.endpoint for each in owners if isinstance(each, EndpointAlias)] == ["e1", "e2"]


def test_an_interface_that_no_network_names_is_no_bus() -> None:
    """It is to go with the last of its networks."""
    state = EMPTY.with_network(ONE)
    assert state.bus("can1") is None
    assert state.without_network("n1").bus("vcan0") is None


def test_the_alias_tells_all_about_an_endpoint() -> None:
    """Enough for the next daemon, and for a person who reads `ip link`."""
    state = EMPTY.with_network(ONE).with_endpoint("n1", "e1", Endpoint("own"))
    port = state.port(state.networks["n1"], "e1")
    assert parse_alias(port.alias) == EndpointAlias("canwharf", "n1", "e1", "vcan0", "own")


def test_an_endpoints_own_prefix_goes_before_its_networks() -> None:
    """As the user asked for it."""
    state = (
        EMPTY.with_network(ONE)
        .with_endpoint("n1", "e1", Endpoint("own"))
        .with_endpoint("n1", "e2", Endpoint())
    )
    network = state.networks["n1"]
    assert [network.called(each).prefix for each in ("e1", "e2", "unknown")] == [
        "own",
        "can",
        "can",
    ]
