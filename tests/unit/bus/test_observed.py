"""The view of the kernel, kept up to date from what is told."""

from __future__ import annotations

from canwharf.bus.observed import Observed
from canwharf.kernel.gateway import CLASSIC, FD, Rule
from canwharf.kernel.link import Link

A, B, C = Link(1, "a"), Link(2, "b"), Link(3, "c")
AB, BA, AB_FD = Rule(1, 2, CLASSIC), Rule(2, 1, CLASSIC), Rule(1, 2, FD)


def test_links_are_found_by_name_and_by_index() -> None:
    """What is not there is not there."""
    view = Observed([A, B])
    assert (view.link("a"), view.at(2), view.link("c"), view.at(3)) == (A, B, None, None)
    assert list(view.links()) == [A, B]


def test_equal_rules_are_counted() -> None:
    """Each of them delivers every frame once more."""
    view = Observed([A, B], [AB, AB, AB_FD])
    assert view.rules(1, 2) == (AB, AB, AB_FD)
    assert view.rules(2, 1) == ()
    view.remove(AB)
    assert view.rules(1, 2) == (AB, AB_FD)
    view.remove(AB)
    assert view.rules(1, 2) == (AB_FD,)


def test_the_rules_of_a_link_go_with_it_in_both_directions() -> None:
    """As in the kernel; or they would be missing when a link of that name comes back."""
    other = Rule(1, 3, CLASSIC)
    view = Observed([A, B, C], [AB, BA, AB_FD, other])
    assert view.drop(2) == B
    assert [view.rules(*ends) for ends in ((1, 2), (2, 1), (1, 3))] == [(), (), (other,)]
    assert view.link("b") is None


def test_dropping_what_is_unknown_changes_nothing() -> None:
    """Announcements repeat what we did ourselves."""
    view = Observed([A, B], [AB])
    assert view.drop(7) is None
    assert view.rules(1, 2) == (AB,)


def test_a_renamed_link_is_found_by_its_new_name_only() -> None:
    """And its rules stay, as they are told by index."""
    view = Observed([A, B], [AB])
    view.put(A._replace(name="z"))
    assert view.link("a") is None
    assert view.link("z") == A._replace(name="z")
    assert view.rules(1, 2) == (AB,)


def test_a_name_that_passed_to_another_link_stays_with_it() -> None:
    """Whatever is told late about the first."""
    view = Observed([A])
    view.put(Link(9, "a"))
    view.drop(1)
    assert view.link("a") == Link(9, "a")
    view.put(Link(1, "old"))
    assert view.link("a") == Link(9, "a")


def test_a_link_under_the_index_of_one_that_went_was_not_renamed() -> None:
    """Or foreign rules would be deleted as left behind by a bus interface."""
    ours = Link(1, "vcan0", alias="canwharf canwharf bus")
    observed = Observed([ours])
    observed.renew([Link(1, "can7")], (), {}, {})
    assert observed.former.get("vcan0", set()) == set()
    renamed = Observed([ours])
    renamed.renew([ours._replace(name="old")], (), {}, {})
    assert renamed.former["vcan0"] == {1}
