"""Driver options: what is taken, and with which words the rest is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus import options
from canwharf.bus.model import Endpoint, Settings
from canwharf.bus.naming import Ifname
from canwharf.errors import OptionError


@pytest.mark.parametrize(
    ("given_options", "settings"),
    [
        ({}, ("vcan0", "vcanp")),
        ({"vxcan.dev": "can"}, ("can0", "vcanp")),
        ({"vxcan.id": "7"}, ("vcan7", "vcanp")),
        ({"vxcan.dev": "can", "vxcan.id": "1", "vxcan.peer": "vcan"}, ("can1", "vcan")),
        ({"vxcan.dev": "slcan-x", "vxcan.id": ""}, ("slcan-x", "vcanp")),
        ({"can.interface": "can0"}, ("can0", "vcanp")),
        ({"can.interface": "can0", "can.name": "can"}, ("can0", "can")),
        ({"can.interface": "can1", "vxcan.dev": "can", "vxcan.id": "1"}, ("can1", "vcanp")),
        ({"can.name": "can", "vxcan.peer": "can"}, ("vcan0", "can")),
        ({"com.docker.network.bridge.name": "br0"}, ("vcan0", "vcanp")),
        ({"com.docker.network.enable_ipv6": True}, ("vcan0", "vcanp")),
        ({"can.interface": "x" * 15, "can.name": "y" * 14}, ("x" * 15, "y" * 14)),
    ],
)
def test_what_a_network_may_ask_for(
    given_options: Mapping[str, object], settings: tuple[str, str]
) -> None:
    """Each way to name the interface and the prefix, with the ancestor's defaults."""
    assert options.parse_network(given_options) == Settings(*settings)


@pytest.mark.parametrize(
    ("given_options", "words"),
    [
        ({"vxcan.device": "can"}, ("vxcan.device=can", "no such option", "vxcan.dev=can?")),
        ({"can.speed": "500000"}, ("can.speed=500000", "no such option", "can.bitrate=500000?")),
        ({"foo": "1"}, ("foo=1", "no such option", "there are", "can.interface", "vxcan.dev")),
        ({"vxcan.dev": 5}, ("vxcan.dev=5", "must be a string")),
        ({"can.name": None}, ("can.name", "must be a string")),
        ({"can.interface": ""}, ("can.interface=", "empty", "can0 or vcan0")),
        ({"can.interface": "x" * 16}, ("can.interface=xxx", "16 characters", "15")),
        ({"can.interface": "a/b"}, ("can.interface=a/b", "'/'")),
        ({"vxcan.dev": "a b"}, ("vxcan.dev+vxcan.id=a b0", "' '")),
        ({"vxcan.dev": "", "vxcan.id": ""}, ("vxcan.dev+vxcan.id=", "empty")),
        ({"vxcan.dev": "x" * 15}, ("vxcan.dev+vxcan.id", "16 characters")),
        ({"can.interface": "can0", "vxcan.id": "1"}, ("can.interface=can0", "'vcan1'", "one of")),
        ({"vxcan.peer": ""}, ("vxcan.peer=", "empty", "can0")),
        ({"can.name": "x" * 15}, ("can.name=xxx", "15 characters", "14")),
        ({"can.name": "can%"}, ("can.name=can%", "'%'")),
        ({"can.name": "a", "vxcan.peer": "b"}, ("can.name=a", "vxcan.peer says 'b'")),
        ({"can.ifname": ""}, ("can.ifname=", "empty", "one like can1")),
        ({"can.ifname": "x" * 16}, ("can.ifname=xxx", "16 characters", "15")),
        ({"can.ifname": "can1", "vxcan.peer": "can"}, ("can.ifname=can1", "'can'", "one of the")),
    ],
)
def test_what_a_network_is_refused(
    given_options: Mapping[str, object], words: tuple[str, ...]
) -> None:
    """The sentence names the option, its value, and what would be right."""
    with pytest.raises(OptionError) as caught:
        options.parse_network(given_options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("given_options", "ifname"),
    [
        ({}, None),
        ({"can.name": "can"}, Ifname("can")),
        ({"vxcan.peer": "vx"}, Ifname("vx")),
        ({"can.ifname": "x" * 15}, Ifname(name="x" * 15)),
        ({"com.docker.network.portmap": [], "com.docker.network.endpoint.exposedports": []}, None),
    ],
)
def test_what_an_endpoint_may_ask_for(
    given_options: Mapping[str, object], ifname: Ifname | None
) -> None:
    """A name of its own; Docker's own options are none of our business."""
    assert options.parse_endpoint(given_options) == Endpoint(ifname)


@pytest.mark.parametrize(
    ("given_options", "words"),
    [
        ({"can.interface": "can0"}, ("can.interface=can0", "an endpoint has no such option")),
        ({"vxcan.dev": "can"}, ("vxcan.dev=can", "option of its network")),
        (
            {"foo": "1"},
            ("foo=1", "can.ifname, can.name, can.rate, can.receive, can.send, vxcan.peer"),
        ),
        ({"name": "can"}, ("name=can", "did you mean can.name=can?")),
        ({"can.name": "a/b"}, ("can.name=a/b", "'/'")),
        ({"can.name": "a", "vxcan.peer": "b"}, ("give one",)),
    ],
)
def test_what_an_endpoint_is_refused(
    given_options: Mapping[str, object], words: tuple[str, ...]
) -> None:
    """An option that has no effect there is not taken in silence."""
    with pytest.raises(OptionError) as caught:
        options.parse_endpoint(given_options)
    for word in words:
        assert word in str(caught.value)


def test_a_host_interface_that_cannot_be_used_is_called_as_the_user_called_it() -> None:
    """Who did not give vxcan.dev has never heard of it."""
    fault = options.refuse_interface({"can.interface": "eth0"}, "eth0", "no CAN interface")
    assert str(fault).startswith("option can.interface=eth0: no CAN interface; must be")
    fault = options.refuse_interface({"can.name": "can"}, "vcan0", "taken")
    assert str(fault).startswith("option can.interface=vcan0: taken")
    fault = options.refuse_interface({"vxcan.id": "1"}, "vcan1", "taken")
    assert str(fault).startswith("option vxcan.dev+vxcan.id=vcan1: taken")


values = st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text()))
keys = st.one_of(
    st.text(),
    st.sampled_from(
        ["vxcan.dev", "vxcan.id", "vxcan.peer", "can.interface", "can.name", "can.ifname"]
    ),
)


@given(st.dictionaries(keys, values))
def test_whatever_is_asked_for_the_result_is_valid_or_refused(asked: dict[str, object]) -> None:
    """No caller behind this needs to validate again."""
    try:
        settings = options.parse_network(asked)
    except OptionError:
        return
    assert 0 < len(settings.interface) <= 15
    assert 0 < len(settings.prefix) <= 14
    assert len(settings.name) <= 15
    assert not set(settings.interface + settings.prefix + settings.name) & set(" /:%\0\n")
