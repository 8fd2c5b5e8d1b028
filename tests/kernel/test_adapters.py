"""Real adapters on the real kernel: set up as their network asks, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.errors import KernelError, OptionError
from tests.kernel.site import Site, shown
from tests.kernel.wired import (
    NAME,
    UP,
    M,
    N,
    Plug,
    make,
    settings,
)
from tests.world.adapter import RATES
from tests.world.host import ip


def test_an_adapter_is_set_up_with_its_network(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site, txqueuelen="100", listen_only="on")
    assert settings() == UP | {"modes": ["LISTEN-ONLY"], "txqueuelen": 100}
    adapter.wait_for("L")  # slcan's word for a channel that only listens
    adapter.wait_for("S6")
    assert site.daemon.said(events.ADAPTER_CONFIGURED)


def test_two_networks_share_what_one_of_them_asks_for(site: Site, plug: Plug) -> None:
    plug()
    make(site)
    make(site, M, bitrate="")
    with pytest.raises(OptionError, match=r"asks for can\.bitrate=500000"):
        make(site, "x" * 64, bitrate="250000")
    site.service.delete_network(M)
    assert settings() == UP


def test_an_adapter_is_taken_down_with_the_last_network_that_set_it_up(
    site: Site, plug: Plug
) -> None:
    """So the next one can have another rate: `docker compose down`, edit, `up`."""
    plug()
    make(site)
    make(site, M, bitrate="")
    site.service.delete_network(N)
    assert settings() == UP
    site.service.delete_network(M)
    assert settings() == UP | {"up": False}
    assert "ifalias" not in shown(NAME)
    make(site, bitrate="250000")
    assert settings() == UP | {"bitrate": 250000}


def test_an_adapter_that_was_set_up_by_hand_stays_as_it_is(site: Site, plug: Plug) -> None:
    adapter = plug()
    adapter.start()
    ip(f"link set {NAME} alias mine")
    make(site)
    assert not site.daemon.said(events.ADAPTER_CONFIGURED)
    site.service.delete_network(N)
    assert settings() == UP
    assert shown(NAME)["ifalias"] == "mine"


def test_an_alias_of_the_users_is_kept(site: Site, plug: Plug) -> None:
    plug()
    ip(f"link set {NAME} alias mine")
    make(site)
    assert settings() == UP
    assert shown(NAME)["ifalias"] == "mine"


def test_foreign_settings_are_an_error_that_names_them(site: Site, plug: Plug) -> None:
    adapter = plug()
    adapter.start(250000)
    before = shown(NAME)
    with pytest.raises(OptionError, match=r"bitrate 250000 instead of 500000.*can\.force=true"):
        make(site)
    assert shown(NAME) == before
    assert not site.service.state.networks
    make(site, force="true")
    assert settings() == UP
    adapter.wait_for_last("S6", "O")


def test_one_that_an_operator_took_down_is_set_up_by_its_network(site: Site, plug: Plug) -> None:
    """As the error for other settings says; else frames would go out at the old rate."""
    plug().start(250000)
    site.daemon.reconciler.observe()
    ip(f"link set {NAME} down")
    make(site)
    assert settings() == UP


@pytest.mark.parametrize("force", ["", "true"])
def test_a_rate_that_it_cannot_do_is_refused_in_the_kernels_words(
    site: Site, plug: Plug, force: str
) -> None:
    """With the rates that it can; and nothing is left behind, even where it was up before."""
    adapter = plug()
    if force:
        adapter.start()
    before = settings(), shown(NAME).get("ifalias")
    with pytest.raises(KernelError) as caught:
        make(site, bitrate="123456", force=force)
    assert f"configure adapter {NAME}: Invalid argument" in str(caught.value)
    assert all(str(rate) in str(caught.value) for rate in RATES)
    assert (settings(), shown(NAME).get("ifalias")) == before
    assert not site.service.state.networks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fd": "on", "dbitrate": "2000000"}, "can.fd=on: the adapter motor cannot do this"),
        ({"one_shot": "on"}, "can.one-shot=on: the adapter motor cannot do this"),
        ({"triple_sampling": "on"}, "can.triple-sampling=on: the adapter motor cannot"),
        ({"type": "virtual"}, "can.type=virtual: motor is a real adapter"),
        ({"type": "virtual", "bitrate": ""}, "can.type=virtual: motor is a real adapter"),
    ],
)
def test_what_the_adapter_is_not_is_refused(
    site: Site, plug: Plug, options: dict[str, str], words: str
) -> None:
    plug()
    before = shown(NAME)
    with pytest.raises(OptionError) as caught:
        make(site, **options)
    assert words in str(caught.value)
    assert shown(NAME) == before


def test_everybodys_spellings(site: Site, plug: Plug) -> None:
    """Of systemd.network and data sheets; equal settings of two networks are equal."""
    adapter = plug()
    make(site, bitrate="500 kbit/s", listen_only="yes", restart_ms="0s", txqueuelen="100")
    assert settings() == UP | {"modes": ["LISTEN-ONLY"], "txqueuelen": 100}
    adapter.wait_for("S6")
    make(site, M, bitrate="0.5M", listen_only="on", restart_ms="off", txqueuelen="100")


SEGMENTS = {"tq": "125", "prop_seg": "6", "phase_seg1": "7", "phase_seg2": "2", "bitrate": ""}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"bitrate": "123k"}, "asked for: can.bitrate=123000; the adapter can do 10000, 20000"),
        (SEGMENTS, "asked for: can.tq=125 can.prop-seg=6 can.phase-seg1=7 can.phase-seg2=2"),
        ({"termination": "120"}, "asked for: can.bitrate=500000 can.termination=120"),
        ({"loopback": "on"}, "can.loopback=on: the adapter motor cannot do this"),
        ({"presume_ack": "yes"}, "can.presume-ack=on: the adapter motor cannot do this"),
        ({"cc_len8_dlc": "on"}, "can.cc-len8-dlc=on: the adapter motor cannot do this"),
    ],
)
def test_what_is_refused_names_what_was_asked_for(
    site: Site, plug: Plug, asked: dict[str, str], words: str
) -> None:
    """The kernel's own words say "bitrate 0 bps" here, or nothing at all.

    It may keep a bit rate that came before what it refused; the adapter stays down.
    """
    plug()
    with pytest.raises((KernelError, OptionError)) as caught:
        make(site, **asked)
    assert words in str(caught.value)
    assert settings()["up"] is False
    assert "ifalias" not in shown(NAME)
    assert not site.service.state.networks


def test_a_restart_time_reaches_the_adapter_or_is_refused(site: Site, plug: Plug) -> None:
    """Newer kernels know that a serial line cannot restart; older ones take it."""
    plug()
    try:
        make(site, restart_ms="100")
    except KernelError as error:
        assert "configure adapter motor" in str(error)  # noqa: PT017 - one of two right ends
        assert settings()["up"] is False
    else:
        assert shown(NAME)["linkinfo"]["info_data"]["restart_ms"] == 100


def test_settings_outlive_the_daemon_and_the_machine(site: Site, plug: Plug) -> None:
    adapter = plug()
    make(site, txqueuelen="77", restart_ms="0", errors="off")
    kept = site.service.state.networks[N]
    site.restart()
    assert site.service.state.networks[N] == kept
    adapter.unplug()
    site.power_cut()
    plug()
    site.daemon.maintenance.recover()
    assert settings() == UP | {"txqueuelen": 77}


def test_a_state_from_before_is_read(site: Site, plug: Plug, tmp_path: Path) -> None:
    plug()
    make(site, bitrate="")
    state = tmp_path / "state" / "state.json"
    content = json.loads(state.read_text())
    del content["networks"][N]["adapter"]
    site.restart(lambda: _write(state, content))
    assert site.service.state.networks[N].settings.physical
    make(site, bitrate="")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
