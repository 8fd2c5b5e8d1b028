"""What a machine that is never restarted keeps: its memory and its file descriptors."""

from __future__ import annotations

import json

import pytest

from lab.guest import Guest
from tests.faults.conftest import Keep

Samples = list[dict[str, int]]


def soak(guest: Guest, cycles: int, every: int) -> Samples:
    words = ["python3", "-m", "tests.faults.soak", "--cycles", str(cycles), "--every", str(every)]
    samples: Samples = json.loads(guest.run(words, timeout=1800).stdout)
    return samples


def assert_flat(samples: Samples, settled: int) -> None:
    """After so many cycles nothing grows but, at most, memory by less than 1 MB in all."""
    assert len({each["descriptors"] for each in samples}) == 1, samples
    assert len({each["threads"] for each in samples}) == 1, samples
    late = [each["rss_kib"] for each in samples if each["cycle"] >= settled]
    assert max(late) - late[0] < 1024, samples


@pytest.mark.short
def test_two_hundred_containers(bare: Guest) -> None:
    assert_flat(soak(bare, 200, 50), 100)


def test_two_thousand_containers(bare: Guest, keep: Keep) -> None:
    samples = soak(bare, 2000, 100)
    keep("soak", samples)
    print(json.dumps(samples))  # noqa: T201
    assert_flat(samples, 500)
