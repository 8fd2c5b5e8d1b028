"""The option that makes a bus one with those of other hosts: its values, refusals, file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canwharf.bus import options, span
from canwharf.bus.model import Adapter, Endpoint, Network, State
from canwharf.bus.naming import NO_SPAN, Span
from canwharf.bus.store import Store
from canwharf.errors import OptionError

SPANNED = {"can.interface": "can0", "can.span": "bench7"}


@pytest.mark.parametrize(
    ("given", "expected", "texts"),
    [
        ({}, NO_SPAN, {}),
        ({"can.span": "bench7"}, Span("bench7", 500), {"can.span": "bench7"}),
        ({"can.span": "a-1", "can.span.max_age": "500"}, Span("a-1", 500), {"can.span": "a-1"}),
        (
            {"can.span": "x", "can.span.max_age": "2s"},
            Span("x", 2000),
            {"can.span": "x", "can.span.max_age": "2000ms"},
        ),
        (
            {"can.span": "x", "can.span.max_age": "off"},
            Span("x", 0),
            {"can.span": "x", "can.span.max_age": "0ms"},
        ),
    ],
)
def test_it_is_read_and_told_in_one_way(
    given: dict[str, str], expected: Span, texts: dict[str, str]
) -> None:
    assert options.parse_network(given).span == expected
    assert span.texts(expected) == texts
    assert options.parse_span(texts) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        *(
            ({"can.span": name}, "lower-case letters, digits and -")
            for name in ("", "Bench", "a b", "a/b", "*", "a_b", "-a", "a-", "ä", "a\n", "x" * 64)
        ),
        ({"can.span": "x", "can.span.max_age": "-1"}, "whole milliseconds"),
        ({"can.span": "x", "can.span.max_age": "soon"}, "whole milliseconds"),
        ({"can.span.max_age": "1s"}, "it needs can.span too"),
        ({"can.spam": "x"}, "did you mean can.span=x"),
        ({"can.span.maxage": "1s"}, "did you mean can.span.max_age=1s"),
    ],
)
def test_what_is_refused_and_why(given: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        options.parse_network(given)


def test_the_networks_of_a_bus_agree_or_say_nothing() -> None:
    def bus_of(*given: dict[str, str]) -> State:
        networks = (
            Network(f"n{place}", options.parse_network({"can.interface": "can0", **each}), {})
            for place, each in enumerate(given)
        )
        return State("canwharf", {each.id: each for each in networks})

    bus = bus_of({}, SPANNED).bus("can0")
    assert bus
    assert bus.span == Span("bench7")
    span.check(options.parse_network(SPANNED), bus)
    other = options.parse_network({**SPANNED, "can.span": "other"})
    with pytest.raises(OptionError, match=r"another network on can0 asks for can\.span=bench7"):
        span.check(other, bus)
    span.check(other, bus_of({}).bus("can0"))


def test_an_adapter_that_moves_has_none() -> None:
    settings = options.parse_network(SPANNED)
    with pytest.raises(OptionError, match="nothing of it on the host"):
        span.check(settings._replace(adapter=Adapter(moved=True)), None)


def test_a_containers_endpoint_has_no_such_option() -> None:
    with pytest.raises(OptionError, match="an option of its network"):
        options.parse_endpoint({"can.span": "x"})


def test_the_file_keeps_it_and_one_without_it_has_none(tmp_path: Path) -> None:
    settings = options.parse_network({**SPANNED, "can.span.max_age": "1s"})
    state = State("canwharf", {"n1": Network("n1", settings, {"e1": Endpoint()})})
    store = Store(str(tmp_path))
    store.acquire()
    store.save(state)
    assert store.load("canwharf")[0] == state
    content = json.loads(Path(store.path).read_text())
    assert content["networks"]["n1"].pop("span") == {
        "can.span": "bench7",
        "can.span.max_age": "1000ms",
    }
    Path(store.path).write_text(json.dumps(content))
    assert store.load("canwharf")[0].networks["n1"].settings.span == NO_SPAN
