"""What another host can cause does not fill the log."""

from __future__ import annotations

from canwharf.span.pace import LINES, REST, Pace, Presence

SECOND = 1_000_000_000


def test_some_lines_at_once_and_then_one_a_minute() -> None:
    pace, said = Pace(), []
    for second in range(600):
        for _each in range(100):
            if pace.allows(second * SECOND):
                pace.spend(second * SECOND)
                said.append(second)
    assert said[:LINES] == [0] * LINES
    assert said[LINES:] == list(range(REST // SECOND, 600, REST // SECOND))


def test_quiet_time_is_saved_up_to_so_many_lines() -> None:
    pace = Pace(lines=2, rest=10)
    now = 10_000
    for _line in range(2):
        assert pace.allows(now)
        pace.spend(now)
    assert not pace.allows(now)
    assert pace.allows(now + 10)


def test_a_host_that_comes_and_goes_all_the_time_is_told_some_times_and_then_as_it_is() -> None:
    presence, said = Presence(4), []
    for turn in range(1000):
        presence.put("bad", turn % 2 == 0)
        said += presence.news(turn)
    presence.put("bad", True)
    presence.put("good", True)
    assert presence.news(1000) == [("good", True)]
    assert said == [("bad", turn % 2 == 0) for turn in range(LINES)]
    assert presence.news(1000 + REST) == [("bad", True)]


def test_how_long_a_host_was_gone_is_known_once_it_is_back() -> None:
    """A cut in which nothing was sent loses nothing, and is said with its length all the same."""
    presence = Presence(4)
    for now, there in ((1, True), (5, False), (12, True)):
        presence.put("a", there)
        assert presence.news(now) == [("a", there)]
        if there:
            assert presence.away("a", now) == (7 if now == 12 else 0)
    assert presence.away("a", 20) == 0


def test_what_changed_back_is_no_news_nor_is_the_end_of_what_never_came() -> None:
    presence = Presence(4)
    presence.put("a", True)
    presence.put("a", False)
    assert presence.news(0) == []


def test_names_without_end_take_no_memory_without_end() -> None:
    """Over plain TCP, a name costs nothing."""
    presence = Presence(4)
    for number in range(1000):
        presence.put(f"bad-{number}", True)
    assert len(presence.news(0)) == 4
