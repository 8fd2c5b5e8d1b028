"""What a bridge tells of itself is read whole, or refused: any local process may have sent it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import SpanError
from canwharf.span import state
from canwharf.span.report import HOSTS, Heard, Report
from canwharf.span.state import Host, State, Told
from tests.unit.span.test_report import OPTIONAL

GOLDEN = Path(__file__).parent / "told"
BUS = ("bench7", "vcan0")
MOST = (1 << 64) - 1
OTHER = Report("0.5", 1, "adapter", 500_000, 2_000_000, True, 5, True, {"a": Heard(1, 2, 3, None)})
TOLD = Told(5, -7, 9, OTHER._replace(clock=7, uptime=8))
OWN = Report("0.5", 1, "virtual", fd=True)
HOST = Host(there=True, lost=3, age=7, told=TOLD)
WHOLE = State("a", "x", "vcan0", OWN, {"sent": 5}, {"b": HOST, "c": Host()}, 7)
Change = Callable[[dict[str, Any]], object]


def test_what_was_told_is_read() -> None:
    assert state.decode(state.encode(WHOLE)) == WHOLE


def test_the_most_that_a_bridge_tells_is_read() -> None:
    names = [f"{number:03}{'h' * 60}" for number in range(HOSTS)]
    heard = {"n" * 63: Heard(*[MOST] * 4)}
    told_by = Report(
        "v" * 32, MOST, "k" * 32, MOST, MOST, False, MOST, False, heard, MOST, MOST, "h" * 63
    )
    told = Told(MOST, -MOST, MOST, told_by)
    most = Host(True, True, MOST, MOST, MOST, MOST, MOST, MOST, MOST, told)
    text = state.encode(WHOLE._replace(hosts=dict.fromkeys(names, most)))
    assert len(text) < state.LARGEST
    assert len(state.decode(text).hosts) == HOSTS


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(version=2),
        lambda told: told.pop("hosts"),
        lambda told: told.update(host="\x1b[2J"),
        lambda told: told.update(interface="a/b"),
        lambda told: told.update(hosts=[]),
        lambda told: told["hosts"].update({"no name": told["hosts"]["b"]}),
        lambda told: told["hosts"]["b"].update(lost=-1),
        lambda told: told["hosts"]["b"].update(lost=True),
        lambda told: told["hosts"]["b"].update(age=1 << 64),
        lambda told: told["counts"].update({"\x1b": 1}),
        lambda told: told["counts"].update(sent="5"),
        lambda told: told["own"].update(canwharf="\x1b[2J"),
        lambda told: told["own"].pop("hears"),
        lambda told: told["hosts"]["b"]["told"].update(difference=1 << 64),
        lambda told: told["hosts"]["b"]["told"]["report"].update(hears={"a": [1, 2, 3]}),
        lambda told: told["counts"].update({"s" * number: 1 for number in range(1, 40)}),
    ],
)
def test_what_is_not_of_its_form_is_refused(change: Change) -> None:
    told = json.loads(state.encode(WHOLE))
    change(told)
    with pytest.raises(SpanError, match="not the state of a bridge"):
        state.decode(json.dumps(told).encode())


def test_what_a_later_one_adds_is_left_out() -> None:
    """An upgrade of the commands need not restart the service, nor one of the service these."""
    told = json.loads(state.encode(WHOLE))
    host = told["hosts"]["b"]
    for each in (told, told["own"], host, host["told"], host["told"]["report"]):
        each["news"] = {"a": [1]}
    host["told"]["report"]["hears"]["a"].append("news")
    told["counts"]["news"] = 7
    counts = {**WHOLE.counts, "news": 7}
    assert state.decode(json.dumps(told).encode()) == WHOLE._replace(counts=counts)


def test_a_service_that_is_older_is_read() -> None:
    """The very first form: what it does not tell is as if there were none."""
    told = state.decode((GOLDEN / "state-first.json").read_bytes())
    assert (told.host, told.span, told.interface, told.counts) == ("bench-1", *BUS, {"sent": 5})
    assert (told.rival, told.own.kind, told.own.fd) == (None, "virtual", True)
    assert told.hosts["bench-3"] == Host()
    other = told.hosts["bench-2"]
    assert (other.there, other.linked, other.lost, other.age) == (True, True, 3, 7)
    assert other.told
    assert (other.told.difference, other.told.report.kind) == (-7, "adapter")
    assert other.told.heard("bench-1") == Heard(1, 2, 3, None)


def test_what_is_optional_may_be_missing() -> None:
    told = json.loads(state.encode(WHOLE._replace(rival=None, hosts={"b": Host()})))
    del told["rival"]
    for each in OPTIONAL:
        del told["own"][each]
    told["hosts"]["b"].clear()
    found = state.decode(json.dumps(told).encode())
    assert found.hosts == {"b": Host()}
    assert found.own == Report("0.5", 1)
    assert (found.rival, found.nameless) == (None, "")


def test_no_field_becomes_mandatory_that_the_first_service_did_not_tell() -> None:
    first = json.loads((GOLDEN / "state-first.json").read_text())
    assert {*State._fields} - first.keys() == {"rival", "nameless"}


def test_a_refusal_is_told_in_a_few_words() -> None:
    with pytest.raises(SpanError, match=r"refuses to answer: x{200}$"):
        state.decode(b'{"error": "%s"}' % (b"x" * 10_000))


@given(st.binary(max_size=200))
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(SpanError):
        state.decode(text)
    with pytest.raises(SpanError):
        state.decode(b"[" * 100_000)
