"""What is told of ids and senders is what their frames were, whatever their order and number."""

from __future__ import annotations

from collections import Counter
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.frames.bits import bits_of, load
from canwharf.frames.frame import BRS, Frame
from canwharf.frames.statistics import Statistics, changed

EFF, RTR, ERR = 0x80000000, 0x40000000, 0x20000000
MS = 1_000_000

FRAMES = st.builds(
    Frame,
    st.integers(0, 10**9),
    st.sampled_from(["bus0", "bus1"]),
    st.sampled_from(["ecu1", "ecu2", "wire"]),
    st.sampled_from([0x123, 0x124, 0x123 | EFF, 0x123 | RTR, 0x40 | ERR]),
    st.binary(max_size=8),
    st.sampled_from([None, 0, BRS]),
)


def _taken(*frames: Frame) -> Statistics:
    statistics = Statistics()
    statistics.take(frames)
    return statistics


@given(st.lists(FRAMES))
def test_each_frame_is_counted_once_under_its_bus_id_and_sender(frames: list[Frame]) -> None:
    statistics = _taken(*frames)
    expected = Counter((each.bus, each.can_id, each.sender) for each in frames)
    rows = {**statistics.rows, **statistics.errors}
    assert {key: row.count for key, row in rows.items()} == expected
    assert all(row.key == key for key, row in rows.items())
    sums = statistics.sums()
    assert {key: count for key, (count, _bits) in sums.items()} == Counter(
        (each.bus, each.sender) for each in frames if not each.error
    )
    bits = sum(sum(bits_of(each.can_id, len(each.data), each.fd)) for each in frames)
    assert sum(sum(bits) for _count, bits in sums.values()) == pytest.approx(bits)
    for row in rows.values():
        own = [each for each in frames if (each.bus, each.can_id, each.sender) == row.key]
        lengths = [len(each.data) for each in own]
        assert (row.data, row.fd) == (own[-1].data, own[-1].fd)
        assert (row.shortest, row.longest) == (min(lengths), max(lengths))


@given(st.lists(st.integers(0, 10**12), min_size=2))
def test_period_and_jitter_are_mean_and_deviation_of_the_gaps(gaps: list[int]) -> None:
    times = [sum(gaps[:place]) for place in range(len(gaps) + 1)]
    (row,) = _taken(*(Frame(each, "b", "s", 1, b"") for each in times)).rows.values()
    assert row.period == pytest.approx(mean(gaps))
    assert row.jitter == pytest.approx(pstdev(gaps), rel=1e-6, abs=1)
    assert (row.least, row.greatest) == (min(gaps), max(gaps))


def test_a_clock_that_is_set_back_is_no_period() -> None:
    """Else one step of the clock spoils the jitter for the rest of the day."""
    times = [1000 * MS, 1010 * MS, 5 * MS, 15 * MS, 25 * MS]
    (row,) = _taken(*(Frame(each, "b", "s", 1, b"") for each in times)).rows.values()
    assert (row.count, row.period, row.jitter) == (5, 10 * MS, 0)


def test_one_frame_has_no_period_and_two_have_no_jitter() -> None:
    statistics = _taken(Frame(0, "b", "s", 1, b""))
    (row,) = statistics.rows.values()
    assert (row.period, row.jitter) == (None, None)
    statistics.take([Frame(7, "b", "s", 1, b"")])
    assert (row.period, row.jitter) == (7, None)


def test_two_senders_of_an_id_are_known_to_each_other() -> None:
    """On a real bus they would destroy each other's frames. A request is no data."""
    frames = [
        Frame(0, "bus0", sender, can_id, b"")
        for sender, can_id in (
            ("ecu1", 0x123),
            ("ecu2", 0x123),
            ("ecu3", 0x123 | RTR),
            ("ecu3", 0x123 | EFF),
            ("ecu1", 0x40 | ERR),
            ("ecu2", 0x40 | ERR),
        )
    ]
    statistics = _taken(*frames, Frame(0, "bus1", "ecu4", 0x123, b""))
    others = {
        row.key: found for row in statistics.rows.values() if (found := statistics.others(row))
    }
    assert others == {
        ("bus0", 0x123, "ecu1"): ["ecu2"],
        ("bus0", 0x123, "ecu2"): ["ecu1"],
    }
    assert (statistics.error_frames("bus0"), statistics.error_frames("bus1")) == (2, 0)


def test_bits_are_those_of_the_standard() -> None:
    """Without stuff bits: 47 and 67 and 8 a byte; a remote frame's length says what it asks for."""
    exact = {key: bits_of(*key) for key in [(1, 8, None), (1 | EFF, 8, None), (1 | RTR, 8, None)]}
    assert [round(sum(bits) - stuffed / 30, 6) for bits, stuffed in
            zip(exact.values(), (98, 118, 34), strict=True)] == [111, 131, 47]  # fmt: skip
    slow, fast = bits_of(1, 64, BRS), bits_of(1, 64, 0)
    assert sum(slow) == pytest.approx(sum(fast))
    assert fast[1] == 0 < slow[0] < 31
    assert bits_of(0x40 | ERR, 8, None) == (0, 0)


def test_a_bus_that_is_full_has_a_load_of_a_hundred_percent() -> None:
    assert load((500_000, 0), 1.0, 500_000) == 100
    assert load((250_000, 1_000_000), 1.0, 500_000, 2_000_000) == 100
    assert load((250_000, 250_000), 2.0, 500_000) == 50
    assert load((500_000, 0), 1.0, 0) == load((1, 1), 0.0, 500_000) == 0


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_changed_bytes_are_those_that_differ_or_are_new(before: bytes, now: bytes) -> None:
    places = changed(before, now)
    kept = set(range(len(now))) - set(places)
    assert all(now[place] == before[place] for place in kept)
    assert all(place >= len(before) or now[place] != before[place] for place in places)
