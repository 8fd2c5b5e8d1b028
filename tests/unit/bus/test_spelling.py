"""What was meant: an option that there is not, a name that is nearly an adapter's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from canwharf.bus import events, options
from canwharf.bus.events import WARNING
from canwharf.errors import OptionError
from tests.fake.daemon import Daemon

MEANT = {
    "can.interface": "interface iface parent dev device CAN.interface can.Interface can_interface "
    "can.intreface vxcan.interface host-interface link if",
    "can.bitrate": "bitrate BitRate can.bit-rate can.bit_rate can.speed baudrate can.bittrate",
    "can.dbitrate": "dbitrate data-bitrate DataBitRate can.data_bitrate",
    "can.sample-point": "sample_point SamplePoint can.samplepoint",
    "can.restart-ms": "restart-ms can.restart_ms RestartSec can.restartms",
    "can.name": "name prefix can.prefix peer can.peer",
    "can.ifname": "ifname interface_name can.interface-name",
    "can.fd": "fd canfd FDMode can.canfd",
    "can.fd-non-iso": "FDNonISO fd_non_iso",
    "can.listen-only": "ListenOnly listen_only",
    "can.phase-seg1": "PhaseBufferSegment1 phase_seg1",
    "can.txqueuelen": "txqueuelen txqlen can.txqlen",
    "can.type": "type kind",
    "can.termination": "Termination",
    "vxcan.dev": "vxcan.device VXCAN.dev vxcan_dev",
    "vxcan.peer": "vxcan.peers vxcan-peer",
    "vxcan.id": "vxcan.ID id",
}


@pytest.mark.parametrize(
    ("typed", "meant"), [(word, option) for option in MEANT for word in MEANT[option].split()]
)
def test_an_option_that_is_not_ours_is_refused_with_the_nearest(typed: str, meant: str) -> None:
    """It would be dropped without a word, and the container land on vcan0."""
    with pytest.raises(OptionError) as caught:
        options.parse_network({typed: "x"})
    assert f"no such option; did you mean {meant}=x?" in str(caught.value)


@pytest.mark.parametrize("typed", ["foo", "mtu", "subnet", "encrypted", "io.podman.x", ""])
def test_where_nothing_is_near_all_are_named(typed: str) -> None:
    with pytest.raises(OptionError) as caught:
        options.parse_network({typed: "x"})
    assert all(each in str(caught.value) for each in options.NETWORK_OPTIONS)


def test_the_engines_own_are_its_own() -> None:
    assert options.unknown({"com.docker.network.driver.mtu": "72", "can.name": "can"}) == []
    assert options.unknown({"com.docker": "", "parent": "x"}) == ["com.docker", "parent"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("can.bitrate", "can.bitrate is an option of its network"),
        ("interface", "can.interface is an option of its network"),
        ("ifname", "did you mean can.ifname=x?"),
        ("foo", "there are can.ifname, can.name, can.rate, can.receive, can.send, vxcan.peer"),
    ],
)
def test_an_endpoint_too(typed: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        options.parse_endpoint({typed: "x"})
    assert words in str(caught.value)


def test_the_daemon_does_not_load_what_only_an_error_needs() -> None:
    words = (
        "import sys, canwharf.bus.service as _; sys.exit('canwharf.bus.spelling' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", words], check=True)


# An old network goes on


def test_a_network_with_unknown_options_is_adopted_without_them(daemon: Daemon) -> None:
    """Made by an older canwharf, or by the driver that was here before."""
    daemon.service.adopt_networks({"n1": {"parent": "can5", "can.name": "can", "can.bus": "x"}})
    [event] = daemon.said(events.OPTIONS_IGNORED)
    assert event.level == WARNING
    assert event.fields == {"network": "n1", "options": "parent=can5, can.bus=x"}
    settings = daemon.service.state.networks["n1"].settings
    assert (settings.interface, settings.prefix) == ("vcan0", "can")


def test_a_network_that_is_listed_again_goes_on(daemon: Daemon) -> None:
    """Swarm tells its networks anew after a power cut, with the options that they were made of."""
    daemon.service.adopt_networks({"n1": {"parent": "can5", "can.name": "can0"}})
    daemon.service.create_network("n1", {"parent": "can5", "can.name": "can0"}, "no IPv6")
    assert len(daemon.said(events.OPTIONS_IGNORED)) == 2


# A name that is nearly right


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"vxcan.dev": "can0"}, "vxcan.dev=can0: .* makes can00; did you mean can.interface=can0?"),
        ({"vxcan.dev": "can7"}, "makes can70; did you mean can.interface=can7?"),
        ({"vxcan.dev": "can0", "vxcan.id": "1"}, "makes can01; did you mean can.interface=can0?"),
        ({"vxcan.id": "can0"}, "vxcan.id=can0: .* makes vcancan0; did you mean can.interface=can0"),
        ({"vxcan.id": "can7"}, "did you mean can.interface=can7?"),
        ({"vxcan.dev": "can0", "can.type": "physical"}, "did you mean can.interface=can0?"),
        ({"can.interface": "CAN0"}, "there is no CAN0, but an adapter can0; did you mean can.int"),
        ({"can.interface": "can"}, "did you mean can.interface=can0. .can.type=virtual makes"),
        ({"can.interface": "can_0"}, "did you mean can.interface=can0?"),
        ({"vxcan.dev": "CAN", "vxcan.id": "0"}, "vxcan.dev.vxcan.id=CAN0: there is no CAN0, but"),
        ({"can.interface": "${CAN}"}, r"\$.CAN.: there is no such interface, and the name of a"),
        ({"can.interface": "can0,can1"}, "can0,can1: there is no such interface, and the name"),
        ({"can.interface": '"vcan"', "can.type": "virtual"}, "there is no such interface"),
        ({"can.interface": "can0", "can.name": "can0"}, "can.name=can0: .* makes can00; did you"),
        ({"can.interface": "can0", "vxcan.peer": "x12"}, "can.ifname=x12, .* or vxcan.peer=x, wh"),
        ({"can.interface": "can0", "can.name": "7"}, "did you mean can.ifname=7, the whole name?"),
    ],
)
def test_what_is_nearly_an_adapters_name(daemon: Daemon, given: dict[str, str], words: str) -> None:
    """It would make a vcan beside the adapter, or can00 in the container."""
    daemon.kernel.plug("can0")
    before = daemon.kernel.snapshot()
    with pytest.raises(OptionError, match=words):
        daemon.service.create_network("n1", given)
    assert daemon.kernel.snapshot() == before


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"can.interface": "can00"}, "can00"),
        ({"vxcan.dev": "can0", "can.type": "virtual"}, "can00"),
        ({"can.interface": "can", "can.type": "virtual"}, "can"),
        ({"can.interface": "vcan"}, "vcan"),
        ({"vxcan.dev": "can_host", "vxcan.id": "1", "vxcan.peer": "can_docker"}, "can_host1"),
        ({"vxcan.dev": "bus7x", "vxcan.id": "2"}, "bus7x2"),
        ({"vxcan.dev": "slcan-x", "vxcan.id": ""}, "slcan-x"),
        ({}, "vcan0"),
    ],
)
def test_what_is_meant_as_it_is_said(daemon: Daemon, given: dict[str, str], made: str) -> None:
    daemon.kernel.plug("can0")
    daemon.kernel.add_link("vcan1", "vcan")
    daemon.service.create_network("n1", given)
    assert daemon.kernel.link(made).kind == "vcan"


def test_a_name_that_is_there_or_has_a_bus_is_meant(daemon: Daemon) -> None:
    daemon.kernel.plug("can0")
    daemon.kernel.add_link("can00", "vcan")
    daemon.service.create_network("n1", {"vxcan.dev": "can0"})
    daemon.service.create_network("n2", {"can.interface": "can7", "can.type": "physical"})
    daemon.service.create_network("n3", {"vxcan.dev": "can", "vxcan.id": "7"})
    assert daemon.service.state.networks["n3"].settings.physical


def test_an_endpoints_prefix_that_is_a_whole_name(daemon: Daemon) -> None:
    daemon.service.create_network("n1", {})
    with pytest.raises(OptionError, match=r"did you mean can\.ifname=can0, .* can\.name=can, wh"):
        daemon.service.create_endpoint("n1", "e1", {"can.name": "can0"})


# A vcan in an adapter's place


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"vxcan.dev": "can", "vxcan.id": "0"}, True),
        ({"can.interface": "slcan3"}, True),
        ({"can.interface": "can0", "can.type": "virtual"}, False),
        ({"can.interface": "can0", "can.type": "physical"}, False),
        ({"can.interface": "vcan0"}, False),
        ({"can.interface": "drive"}, False),
    ],
)
def test_a_vcan_of_an_adapters_name_is_said(
    daemon: Daemon, given: dict[str, str], warned: bool
) -> None:
    """The earlier driver's compose file, with the adapter unplugged: its frames would be lost."""
    daemon.service.create_network("n1", given)
    daemon.service.create_network("n2", given)
    said = daemon.said(events.BUS_NAMED_LIKE_ADAPTER)
    assert len(said) == warned
