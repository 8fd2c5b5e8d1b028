"""What a host tells of itself is read whole, or refused: it comes from another host."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import SpanError
from canwharf.span import report
from canwharf.span.report import HOSTS, Heard, Report

OPTIONAL = ("kind", "bitrate", "dbitrate", "fd", "certificate", "twin", "uptime", "apart")
MOST = (1 << 64) - 1
WHOLE = Report("0.5", 1, "adapter", 500_000, 2_000_000, True, 5, True, {"a": Heard(1, 2, 3, 4)})
Change = Callable[[dict[str, Any]], object]


def test_what_was_told_is_read_with_the_time_of_the_answer() -> None:
    told = report.decode(report.answer(report.encode(WHOLE), 7, 8))
    assert told == WHOLE._replace(clock=7, uptime=8)


def test_the_most_that_a_host_tells_is_read() -> None:
    names = [f"{number:03}{'h' * 60}" for number in range(HOSTS)]
    hears = dict.fromkeys(names, Heard(MOST, MOST, MOST, MOST))
    most = WHOLE._replace(hears=hears, apart="h" * 63)
    text = report.answer(report.encode(most), MOST, MOST)
    assert len(report.decode(text).hears) == HOSTS
    with pytest.raises(SpanError, match="an answer of"):
        report.decode(text.ljust(report.LARGEST + 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(version=2),
        lambda told: told.pop("hears"),
        lambda told: told.update(canwharf="\x1b[2J"),
        lambda told: told.update(kind="k" * 33),
        lambda told: told.update(bitrate=-1),
        lambda told: told.update(certificate="soon"),
        lambda told: told.update(clock=None),
        lambda told: told.update(apart="\x1b"),
        lambda told: told["hears"].update({"A b": [1, 2, 3, 4]}),
        lambda told: told["hears"].update(a=[1, 2, 3]),
        lambda told: told["hears"].update(a=[1, 2, None, 4]),
        lambda told: told.pop("clock"),
        lambda told: told["hears"].update({f"h{each}": [1, 2, 3, 4] for each in range(HOSTS)}),
    ],
)
def test_what_is_not_of_its_form_is_refused(change: Change) -> None:
    told = json.loads(report.answer(report.encode(WHOLE), 7, 8))
    change(told)
    with pytest.raises(SpanError, match="an answer that is none"):
        report.decode(json.dumps(told).encode())


def test_a_host_that_is_older_is_read() -> None:
    """The very first form."""
    told = report.decode((Path(__file__).parent / "told" / "report-first.json").read_bytes())
    assert (told.canwharf, told.message, told.kind, told.fd) == ("0.5", 1, "adapter", True)
    assert (told.bitrate, told.dbitrate, told.certificate) == (500_000, 2_000_000, 1_858_000_000)
    assert told.hears == {"bench-1": Heard(1, 2, 3, None)}


def test_a_host_that_is_newer_or_tells_less_is_read() -> None:
    told = json.loads(report.answer(report.encode(WHOLE), 7, 8))
    told["news"] = ["x"]
    told["hears"]["a"].append({"news": 1})
    for each in OPTIONAL:
        del told[each]
    least = Report("0.5", 1, hears=WHOLE.hears, clock=7)
    assert report.decode(json.dumps(told).encode()) == least


@given(st.binary(max_size=200))
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(SpanError):
        report.decode(text)
