"""Hosts are asked, and answer: bounded, and with the clocks of the moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from canwharf.span import report
from canwharf.span.asking import AT_ONCE, EVERY, KEPT, Answer, Asking
from canwharf.span.report import HOSTS, Report
from canwharf.span.session import Receive, Session

OWN = Report("0.5", 1)
HOUR = 3_600_000_000_000


class Network:
    """In the place of a session; the time of this host, which a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000_000_000
        self.asked: list[Receive] = []
        self.told: Callable[[], bytes | None] = lambda: None

    def answer(self, _span: str, told: Callable[[], bytes | None]) -> None:
        self.told = told

    def ask(self, _span: str, take: Receive) -> None:
        self.asked.append(take)

    def clock(self) -> int:
        """An uptime and a day."""
        return self.now + 24 * HOUR


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def asking(network: Network) -> Asking:
    return Asking(cast("Session", network), "x", lambda: network.now, network.clock)


def answer(clock: int, own: Report = OWN) -> bytes:
    return report.answer(report.encode(own), clock, 5)


def test_a_host_answers_with_its_clocks_of_that_moment(network: Network, asking: Asking) -> None:
    assert network.told() is None  # until there is something to tell
    asking.tell(OWN)
    network.now += HOUR
    told = report.decode(network.told() or b"")
    assert told == OWN._replace(clock=network.clock(), uptime=network.now)


def test_the_other_clock_is_compared_in_the_middle_of_the_round_trip(
    network: Network, asking: Asking
) -> None:
    asking.look()
    network.now += 4_000_000
    there = answer(network.clock() + HOUR)
    network.now += 4_000_000
    network.asked[0]("b", there)
    asking.read()
    told = report.decode(there)
    assert asking.answers == {"b": Answer(told, 8_000_000, HOUR, network.now)}


def test_hosts_are_asked_every_few_seconds_and_when_one_comes(
    network: Network, asking: Asking
) -> None:
    asking.look()
    network.now += EVERY - 1
    asking.look()
    assert len(network.asked) == 1
    network.now += 1
    asking.look()
    assert len(network.asked) == 2
    asking.ask_soon()
    asking.look()
    assert len(network.asked) == 3


def test_a_host_has_one_answer_and_a_flood_of_them_is_left_out(
    network: Network, asking: Asking
) -> None:
    asking.look()
    for number in range(HOSTS * 2):
        network.asked[0](f"h{number}", answer(number))
        network.asked[0](f"h{number}", answer(0))
    asking.read()
    assert len(asking.answers) == AT_ONCE  # beside the frames
    for _turn in range(HOSTS):
        asking.read()
    assert len(asking.answers) == HOSTS
    assert [each.report.clock for each in asking.answers.values()] == list(range(HOSTS))


def test_garbage_is_no_answer_and_what_is_old_says_nothing(
    network: Network, asking: Asking
) -> None:
    asking.look()
    network.asked[0]("b", answer(1))
    network.asked[0]("c", answer(1))
    asking.read()
    asking.ask_soon()
    asking.look()
    network.asked[1]("b", b"\xff")
    asking.read()
    assert set(asking.answers) == {"c"}
    network.now += KEPT + 1
    asking.look()
    assert asking.answers == {}


def test_a_host_that_is_gone_tells_nothing_any_more(network: Network, asking: Asking) -> None:
    """A status would say of it that it hears this host, for a quarter of a minute."""
    asking.look()
    network.asked[0]("b", answer(1))
    network.asked[0]("c", answer(1))
    asking.read()
    asking.forget("b")
    asking.forget("d")
    assert set(asking.answers) == {"c"}
