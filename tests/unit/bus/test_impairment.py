"""What a bus does to frames on purpose: the options, their refusals, the file, what is shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from canwharf.bus import options
from canwharf.bus.fault import Fault
from canwharf.bus.model import Endpoint, Network, Policy, Settings, State
from canwharf.bus.store import Store
from canwharf.errors import OptionError
from canwharf.kernel.impairment import PERFECT, Impairment

WRITTEN = Path(__file__).with_name("states") / "6-trouble.json"


@pytest.mark.parametrize(
    ("option", "text", "expected", "canonical"),
    [
        ("can.bandwidth", "500000", Impairment(bandwidth=500_000), "500000"),
        ("can.bandwidth", "500 kbit/s", Impairment(bandwidth=500_000), "500000"),
        ("can.bandwidth", "1M", Impairment(bandwidth=1_000_000), "1000000"),
        ("can.delay", "20ms", Impairment(delay=20_000), "20ms"),
        ("can.delay", "20", Impairment(delay=20_000), "20ms"),
        ("can.delay", "1.5ms", Impairment(delay=1500), "1500us"),
        ("can.delay", "10s", Impairment(delay=10_000_000), "10000ms"),
        ("can.loss", "5%", Impairment(loss=50_000), "5%"),
        ("can.loss", "99.9999%", Impairment(loss=999_999), "99.9999%"),
        ("can.loss", "1ppm", Impairment(loss=1), "0.0001%"),
        ("can.duplicate", "100%", Impairment(duplicate=1_000_000), "100%"),
    ],
)
def test_it_is_read_and_told_in_one_way(
    option: str, text: str, expected: Impairment, canonical: str
) -> None:
    """The canonical text reads as the same."""
    settings = options.parse_network({option: text})
    assert settings.impairment == expected
    assert options.impairment_texts(expected) == {option: canonical}
    assert options.parse_impairment({option: canonical}) == expected


@pytest.mark.parametrize("option", options.IMPAIRMENT_OPTIONS)
@pytest.mark.parametrize("text", ["off", "0", "none"])
def test_off_is_as_if_it_were_not_given(option: str, text: str) -> None:
    """So a compose file can have a variable there."""
    assert options.parse_network({option: text}) == options.parse_network({})


@pytest.mark.parametrize(
    ("option", "text", "must"),
    [
        ("can.bandwidth", "500", "from 1000 to 20000000"),
        ("can.bandwidth", "-1", "from 1000 to 20000000"),
        ("can.bandwidth", "1G", "from 1000 to 20000000"),
        ("can.delay", "11s", "up to 10 s"),
        ("can.delay", "soon", "up to 10 s"),
        ("can.delay", "0.1us", "up to 10 s"),
        ("can.loss", "5", "with its sign"),
        ("can.loss", "0.05", "with its sign"),
        ("can.loss", "101%", "with its sign"),
        ("can.duplicate", "", "with its sign"),
    ],
)
def test_nonsense_is_refused_with_examples(option: str, text: str, must: str) -> None:
    """A number without a sign has two readings: 1 may be all, or one of a hundred."""
    with pytest.raises(OptionError, match=must) as refused:
        options.parse_network({option: text})
    assert option in str(refused.value)


def test_it_is_a_networks_and_no_containers() -> None:
    """There is one for the whole bus."""
    with pytest.raises(OptionError, match="is an option of its network"):
        options.parse_endpoint({"can.latency": "5ms"})


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("can.dealy", "can.delay"),
        ("can.los", "can.loss"),
        ("can.bandwith", "can.bandwidth"),
        ("can.duplicat", "can.duplicate"),
    ],
)
def test_a_slip_in_an_option_is_refused_with_what_was_meant(slip: str, meant: str) -> None:
    """Or a test would run on a bus that is perfect."""
    with pytest.raises(OptionError, match=f"did you mean {meant}=5%"):
        options.parse_network({slip: "5%"})


def test_the_file_has_it(tmp_path: Path) -> None:
    """In the words of the options."""
    settings = options.parse_network({"can.delay": "20ms", "can.loss": "0.5%"})
    state = State("canwharf", {"n1": Network("n1", settings, {})})
    store = Store(str(tmp_path))
    store.acquire()
    store.save(state)
    assert '"impairment": {"can.delay": "20ms", "can.loss": "0.5%"}' in Path(store.path).read_text()
    assert store.load("canwharf")[0] == state


def test_a_real_adapters_bus_has_none() -> None:
    """Even if its network once said so."""
    given = {"can.interface": "can0", "can.delay": "20ms"}
    settings = options.parse_network(given)
    state = State("canwharf", {"n1": Network("n1", settings._replace(physical=True), {})})
    bus = state.bus("can0")
    assert bus
    assert (bus.ifb, bus.impairment) == (None, PERFECT)


def test_an_upgrade_keeps_trouble_on_purpose(tmp_path: Path) -> None:
    """What a network says of its bus and, within a boot, the faults of each container."""
    store = Store(str(tmp_path))
    store.acquire()
    shutil.copy(WRITTEN, store.path)
    store._boot = json.loads(WRITTEN.read_text())["boot"]
    state, _left = store.load("canwharf")
    impairment = Impairment(500_000, 20_000, 5_000, 10_000)
    settings = Settings(
        "vcan1", "can", name="can0", policy=Policy(send="~7E0"), impairment=impairment
    )
    faults = (
        Fault(1, "123", "data[2]^=FF", "5%", keep=True, until=12.5),
        Fault(2, bus_off=True),
        Fault(3, "124", delay="20ms", keep=True),
    )
    endpoints = {"f" * 64: Endpoint(None, Policy(rate="100"), faults)}
    assert state.networks["e" * 64] == Network("e" * 64, settings, endpoints)
    store.save(state)
    assert store.load("canwharf") == (state, 0)
