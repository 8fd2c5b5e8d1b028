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
from canwharf.span.state import HOSTS, Host, State

WHOLE = State("a", "x", "vcan0", {"sent": 5}, {"b": Host(there=True, lost=3, age=7), "c": Host()})
Change = Callable[[dict[str, Any]], object]


def test_what_was_told_is_read() -> None:
    assert state.decode(state.encode(WHOLE)) == WHOLE


def test_the_most_that_a_bridge_tells_is_read() -> None:
    most = (1 << 64) - 1
    names = [f"{number:03}{'h' * 60}" for number in range(HOSTS)]
    hosts = dict.fromkeys(names, Host(True, most, most, most, most, most, most))
    text = state.encode(WHOLE._replace(hosts=hosts))
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
