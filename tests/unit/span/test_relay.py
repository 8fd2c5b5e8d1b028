"""Hosts that connect to one host only, which passes on what each sends: over TLS, with zenoh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic, sleep

import pytest

from canwharf.span.session import Send, Session
from canwharf.span.settings import Settings
from tests.unit.span.test_certificates import Opened, host, impostor, port
from tests.unit.span.test_session import LIMIT, Heard

__all__ = ["host", "port"]
NAMES = ("bench-1", "bench-2", "bench-3")


@pytest.fixture
def settings(host: Opened) -> dict[str, Settings]:
    """Of three hosts: the first one is the relay, and the others do not know each other."""
    first = host("bench-1", *NAMES[1:])
    others = [host(name, "bench-1") for name in NAMES[1:]]
    return {each.host: each._replace(relay="bench-1") for each in (first, *others)}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def joined(stack: ExitStack, which: Settings) -> tuple[Heard, Send]:
    session = stack.enter_context(Session(which))
    return Heard(session), session.publish("x")


def test_each_hears_each_other_under_its_own_name(
    settings: dict[str, Settings], stack: ExitStack
) -> None:
    """The relay, too; and each message once."""
    hosts = {name: joined(stack, which) for name, which in settings.items()}
    for name, (heard, _send) in hosts.items():
        others = {each for each in NAMES if each != name}
        assert {heard.news() for _other in others} == {(each, True) for each in others}
    end = monotonic() + LIMIT
    while not all(
        len({each[0] for each in heard.messages.queue}) == 2 for heard, _ in hosts.values()
    ):
        assert monotonic() < end
        for _heard, send in hosts.values():
            send(b"")
        sleep(0.1)
    for number in range(1, 11):
        for _heard, send in hosts.values():
            send(b"%d" % number)
    numbers = [b"%d" % number for number in range(1, 11)]
    for name, (heard, _send) in hosts.items():
        got: dict[str, list[bytes]] = {each: [] for each in NAMES if each != name}
        while not all(b"10" in each for each in got.values()):
            sender, payload = heard.messages.get(timeout=LIMIT)
            got[sender] += [payload] if payload else []
        assert all(each == numbers for each in got.values())


def test_no_host_behind_it_is_heard_under_the_name_of_another(
    settings: dict[str, Settings], stack: ExitStack
) -> None:
    """The relay knows whose certificate is whose, and the others trust it."""
    stack.enter_context(Session(settings["bench-1"]))
    heard, _send = joined(stack, settings["bench-2"])
    bad = stack.enter_context(impostor(settings["bench-3"]))
    end = monotonic() + LIMIT
    while heard.messages.empty():
        assert monotonic() < end
        bad.put("canwharf/1/x/bench-1/frames", b"forged")
        bad.put("canwharf/1/x/bench-4/frames", b"forged")
        bad.put("canwharf/1/x/bench-3/frames", b"its own")
    assert heard.messages.get() == ("bench-3", b"its own")
    assert {each[0] for each in heard.messages.queue} <= {"bench-3"}


@pytest.mark.parametrize(
    ("at", "changed"),
    [
        ("bench-1", {"refuse": ("bench-3",)}),
        ("bench-2", {"refuse": ("bench-3",)}),
        ("bench-2", {"strict": True}),
    ],
)
def test_a_host_that_is_shut_out_by_the_relay_or_by_another_is_not_heard(
    settings: dict[str, Settings], stack: ExitStack, at: str, changed: dict[str, object]
) -> None:
    settings[at] = settings[at]._replace(**changed)  # type: ignore[arg-type]
    _heard, relays = joined(stack, settings["bench-1"])
    _heard, out = joined(stack, settings["bench-3"])
    heard, _send = joined(stack, settings["bench-2"])
    assert heard.news() == ("bench-1", True)
    heard.probe(lambda payload: (out(payload), relays(payload)))  # type: ignore[arg-type]
    for _message in range(20):
        out(b"of three")
        relays(b"of one")
    got = {heard.message(lambda: relays(b"of one"))[0] for _message in range(20)}
    assert got == {"bench-1"}
    assert heard.presence.empty()


def test_a_host_that_is_shut_out_may_not_ask_and_a_relay_need_have_no_bus(
    settings: dict[str, Settings], stack: ExitStack
) -> None:
    """What is connected and tells nothing is else taken for a mistake."""
    settings["bench-2"] = settings["bench-2"]._replace(refuse=("bench-3",))
    relay, second, third = (stack.enter_context(Session(each)) for each in settings.values())
    until(lambda: relay.partners() == {"bench-2", "bench-3"} and second.linked() == {"bench-1"})
    assert second.partners() == frozenset()
    asked: dict[str, set[str]] = {"bench-1": set(), "bench-2": set()}
    relay.hear("x", "ask", lambda host, _payload: asked["bench-1"].add(host))
    second.hear("x", "ask", lambda host, _payload: asked["bench-2"].add(host))

    def heard() -> bool:
        third.tell("x", "ask", b"")
        second.tell("x", "ask", b"")
        relay.tell("x", "ask", b"")
        return asked == {"bench-1": {"bench-2", "bench-3"}, "bench-2": {"bench-1"}}

    until(heard)


def until(true: Callable[[], bool]) -> None:
    end = monotonic() + LIMIT
    while not true():
        assert monotonic() < end
        sleep(0.1)
