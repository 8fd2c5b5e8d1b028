"""What a bridge tells of itself is read whole, or refused: any local process may have sent it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canwharf.errors import SpanError
from canwharf.span import state
from canwharf.span.report import HOSTS, Heard, Report
from canwharf.span.state import Host, State, Told

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
    report = Report("v" * 32, MOST, "k" * 32, MOST, MOST, False, MOST, False, heard, MOST, MOST)
    told = Told(MOST, -MOST, MOST, report)
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
    told = json.loads(state.encode(WHOLE))
    told["news"] = told["hosts"]["b"]["news"] = {"a": [1]}
    assert state.decode(json.dumps(told).encode()) == WHOLE


def test_a_refusal_is_told_in_a_few_words() -> None:
    with pytest.raises(SpanError, match=r"refuses to answer: x{200}$"):
        state.decode(b'{"error": "%s"}' % (b"x" * 10_000))


@given(st.binary(max_size=200))
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(SpanError):
        state.decode(text)
    with pytest.raises(SpanError):
        state.decode(b"[" * 100_000)
