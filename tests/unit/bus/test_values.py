"""Values: everybody's spellings, and what is refused rather than guessed at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.bus import values
from canwharf.bus.values import Unit
from canwharf.errors import OptionError


@pytest.mark.parametrize(
    ("unit", "texts", "value"),
    [
        (values.RATE, ("500000", "500k", "500K", "0.5M", "500 kbit/s", "500kbps", "5e5"), 500_000),
        (values.RATE, ("1M", "1m", "1e+06", "1000k", "1Mbit", ".001G", " 1000000.0 "), 1_000_000),
        (values.RATE, ("83.333k", "83333", "83333bit/s"), 83_333),
        (values.MILLISECONDS, ("100", "100ms", "0.1s", "100 msec", "100.0"), 100),
        (values.MILLISECONDS, ("0", "off", "never"), 0),
        (values.NANOSECONDS, ("125", "125ns", "0.125us", "0.125µs"), 125),
        (values.OHMS, ("120", "120ohm", "120 Ω", "120\u2126"), 120),
        (values.QUANTA, ("6", "6tq"), 6),
        (values.CLOCKS, ("14",), 14),
        (values.FRAMES, ("1000",), 1000),
    ],
)
def test_every_spelling_of_a_number(unit: Unit, texts: tuple[str, ...], value: int) -> None:
    """Of ip, systemd.network, YAML and data sheets."""
    assert [values.number("can.x", text, unit) for text in texts] == [value] * len(texts)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        *((values.RATE, text) for text in ("", "k", "0", "-5", "+5", "500,000", "1.5", "500kk")),
        *((values.RATE, text) for text in ("5e5e5", "0x10", "fast", "\u0665", "1" * 13, "1e99")),
        *((values.MILLISECONDS, text) for text in ("0.5", "1.5ms", "100us", "1h", "50 Hz")),
        *((values.OHMS, text) for text in ("70000", "120V")),
        *((values.QUANTA, text) for text in ("0", "1.5", "6ns")),
    ],
)
def test_what_is_no_number_of_this_unit(unit: Unit, text: str) -> None:
    """The sentence names the option, the value, the unit, and examples."""
    with pytest.raises(OptionError) as caught:
        values.number("can.x", text, unit)
    assert str(caught.value) == f"option can.x={text}: must be {unit.must}"


@pytest.mark.parametrize("text", ["0.875", ".875", "0.8750", "87.5%", "875‰", "87.5", " 87.5 % "])
def test_every_spelling_of_a_sample_point(text: str) -> None:
    """87.5 is python-can's; a part of a bit is never more than one."""
    assert values.point("can.x", text) == 875


@pytest.mark.parametrize("text", ["", "1", "5", "0", "0.0", "875", "0.8755", "0,875", "100%", "x"])
def test_what_is_no_sample_point(text: str) -> None:
    with pytest.raises(OptionError, match=r"like 0\.875 or 87\.5%"):
        values.point("can.x", text)


def test_on_and_off_in_the_usual_words() -> None:
    """YAML makes `true` of an unquoted `on`."""
    for text in ("on", "On", "yes", "TRUE", "1", " y ", "enabled"):
        assert values.switch("can.x", text)
    for text in ("off", "no", "False", "0", "n", "disabled"):
        assert not values.switch("can.x", text)
    for text in ("", "maybe", "2", "oui"):
        with pytest.raises(OptionError, match="must be on or off"):
            values.switch("can.x", text)


@given(st.text())
def test_whatever_is_typed_is_a_number_in_range_or_refused(text: str) -> None:
    try:
        value = values.number("can.x", text, values.RATE)
    except OptionError:
        return
    assert 0 < value < 0xFFFFFFFF
