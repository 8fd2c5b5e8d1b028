"""What a network may ask of its adapter: every setting of `ip link set type can`, and no more."""

from __future__ import annotations

import pytest

from canwharf.bus import options
from canwharf.bus.model import Adapter
from canwharf.errors import OptionError
from canwharf.kernel.can import MODES, CanSettings

DATA = {"can.bitrate": "500000", "can.dbitrate": "2000000", "can.fd": "on"}
SEGMENTS = {
    "can.tq": "125",
    "can.prop-seg": "6",
    "can.phase-seg1": "7",
    "can.phase-seg2": "2",
}


@pytest.mark.parametrize(
    ("given", "adapter"),
    [
        ({}, Adapter()),
        ({"can.bitrate": "500000"}, Adapter(CanSettings(500000))),
        (
            {"can.bitrate": "125000", "can.sample-point": ".875"},
            Adapter(CanSettings(125000, 875)),
        ),
        (
            {
                "can.bitrate": "500000",
                "can.dbitrate": "2000000",
                "can.fd": "on",
                "can.sample-point": "0.8",
                "can.dsample-point": "0.75",
            },
            Adapter(CanSettings(500000, 800, 2000000, 750, MODES["fd"], MODES["fd"])),
        ),
        ({"can.restart-ms": "0"}, Adapter(CanSettings(restart_ms=0))),
        ({"can.txqueuelen": "1000"}, Adapter(CanSettings(txqueuelen=1000))),
        (
            {"can.listen-only": "true", "can.one-shot": "off"},
            Adapter(CanSettings(mask=MODES["listen-only"] | MODES["one-shot"], modes=0x2)),
        ),
        ({"can.errors": "off"}, Adapter(errors=False)),
        ({"can.force": "true"}, Adapter(force=True)),
        ({"can.mode": "move"}, Adapter(moved=True)),
        ({"can.mode": "share"}, Adapter()),
        ({"can.mode": "Move"}, Adapter(moved=True)),
        (
            {"can.bitrate": "500k", "can.restart-ms": "1s"},
            Adapter(CanSettings(500000, restart_ms=1000)),
        ),
        (
            {"can.bitrate": "1 Mbit/s", "can.sample-point": "87.5%"},
            Adapter(CanSettings(1000000, 875)),
        ),
        (
            {**SEGMENTS, "can.sjw": "1", "can.termination": "120ohm"},
            Adapter(
                CanSettings(tq=125, prop_seg=6, phase_seg1=7, phase_seg2=2, sjw=1, termination=120)
            ),
        ),
        (
            {**DATA, "can.tdc-mode": "manual", "can.tdcv": "3", "can.tdco": "14", "can.tdcf": "0"},
            Adapter(CanSettings(500000, 0, 2000000, 0, 0x620, 0x420, tdcv=3, tdco=14, tdcf=0)),
        ),
        ({**DATA, "can.tdc-mode": "off"}, Adapter(CanSettings(500000, 0, 2000000, 0, 0x620, 0x20))),
        (
            {"can.loopback": "yes", "can.presume-ack": "1", "can.cc-len8-dlc": "no"},
            Adapter(CanSettings(mask=0x141, modes=0x41)),
        ),
    ],
)
def test_what_a_network_may_ask_of_its_adapter(given: dict[str, str], adapter: Adapter) -> None:
    """In the words and units of `ip link set type can`."""
    parsed = options.parse_network({"can.interface": "can0", **given}).adapter
    assert parsed._replace(options={}) == adapter
    assert parsed.options.keys() == given.keys()
    again = options.parse_network({"can.interface": "can0", **parsed.options}).adapter
    assert again == parsed, "the canonical text is taken, and is canonical"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"can.bitrate": "0"},
            "can.bitrate=0: must be a bit rate in bit/s, like 500000, 500k or 1M",
        ),
        ({"can.bitrate": "500kk"}, "can.bitrate=500kk: must be a bit rate in bit/s, like"),
        ({"can.bitrate": "-1"}, "a bit rate in bit/s"),
        ({"can.bitrate": "\u0665"}, "a bit rate in bit/s"),
        ({"can.bitrate": "9" * 40}, "a bit rate in bit/s"),
        ({"can.restart-ms": "0" * 12 + "9" * 12}, "whole milliseconds"),
        ({"can.txqueuelen": "0" * 5000}, "whole number"),
        ({"can.bitrate": "5", "can.sample-point": "1"}, "up to three digits, like 0.875"),
        ({"can.bitrate": "5", "can.sample-point": "0.0"}, "like 0.875"),
        ({"can.bitrate": "5", "can.sample-point": "0.8755"}, "like 0.875"),
        ({"can.bitrate": "5", "can.sample-point": "875"}, "like 0.875"),
        ({"can.sample-point": "0.875"}, "can.sample-point=0.875: it needs can.bitrate too"),
        ({"can.dbitrate": "2000000"}, "it needs can.bitrate or can.tq too"),
        ({"can.bitrate": "5", "can.dbitrate": "6"}, "can.dbitrate=6: it needs can.fd=on too"),
        (
            {"can.bitrate": "5", "can.dbitrate": "6", "can.fd": "off"},
            "can.dbitrate=6: it needs can.fd=on too",
        ),
        ({"can.bitrate": "5", "can.fd": "on"}, "can.fd=on: it needs can.bitrate and can.dbitrate"),
        ({"can.fd": "on"}, "can.fd=on: it needs can.bitrate and can.dbitrate"),
        ({"can.fd": "perhaps"}, "can.fd=perhaps: must be on or off (or yes or no,"),
        ({"can.mode": "lend"}, "can.mode=lend: must be share or move"),
        ({"can.force": ""}, "can.force=: must be on or off"),
        (
            {"can.restart-ms": "1.5"},
            "can.restart-ms=1.5: must be a time of whole milliseconds, like 100, 100ms",
        ),
        ({"can.restart": "on"}, "can.restart=on: a network has no such option; did you mean"),
        ({"can.tq": "125", "can.bitrate": "5"}, "can.tq=125: it needs can.phase-seg1 too"),
        ({**SEGMENTS, "can.bitrate": "5"}, "can.tq=125: it says how long a bit is, and so does"),
        ({"can.prop-seg": "6"}, "can.prop-seg=6: it needs can.tq too"),
        ({"can.sjw": "1"}, "can.sjw=1: it needs can.bitrate or can.tq too"),
        ({"can.tq": "0"}, "a time of whole nanoseconds, like 125, 125ns or 1us"),
        ({"can.termination": "70000"}, "a resistance in ohms, like 120; 0: none"),
        ({"can.tdco": "14"}, "can.tdco=14: it needs can.tdc-mode too"),
        ({"can.tdc-mode": "auto"}, "can.tdc-mode=auto: it needs can.fd=on too"),
        ({**DATA, "can.tdc-mode": "auto"}, "can.tdc-mode=auto: it needs can.tdco too"),
        ({**DATA, "can.tdc-mode": "manual", "can.tdco": "1"}, "it needs can.tdcv too"),
        (
            {**DATA, "can.tdc-mode": "auto", "can.tdco": "1", "can.tdcv": "1"},
            "can.tdcv=1: it needs can.tdc-mode=manual too",
        ),
        ({**DATA, "can.tdc-mode": "off", "can.tdcf": "1"}, "it needs can.tdc-mode=auto or manual"),
        ({"can.tdc-mode": "on"}, "can.tdc-mode=on: must be auto, manual or off"),
    ],
)
def test_what_cannot_be_asked_of_an_adapter(given: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        options.parse_network({"can.interface": "can0", **given})
    assert words in str(caught.value)


def test_an_endpoint_asks_nothing_of_the_adapter() -> None:
    """It is the whole bus's."""
    with pytest.raises(OptionError, match="an endpoint has no such option"):
        options.parse_endpoint({"can.bitrate": "500000"})
