"""The way of a frame through the fake kernel: rules, pairs and marks.

Rules:

- A rule forwards what its source receives. With an echo, its destination receives it, too.
- What is sent to one end of a pair is received by the other end, and its hop count starts anew
  (vxcan_xmit). In the host's namespace rules can forward it from there.
- Each reception passes the filters at ingress, and each sending those at egress.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from tests.fake import wire
from tests.fake.links import HOST, FakeLink, FakeRule

KINDS = ("classic", "fd", "errors")
STORM = 5000  # a frame that is forwarded more often than this never comes to rest


class _Frame(NamedTuple):
    """What a link receives."""

    link: FakeLink
    hops: int
    mark: int


def deliveries(
    source: FakeLink, links: Iterable[FakeLink], rules: Iterable[FakeRule], max_hops: int
) -> Counter[tuple[str, str]]:
    """How often a frame that enters by `source` leaves by each link, by its name and kind.

    A pair that was made to join rules is no way out: both its ends are here, in one group. Raises
    AssertionError if the frame is forwarded without end.
    """
    there = {link.index: link for link in links}
    from_source: dict[int, list[FakeRule]] = {}
    for rule in rules:
        from_source.setdefault(rule.source, []).append(rule)
    left: Counter[tuple[str, str]] = Counter()
    for kind in KINDS:
        forwarded = 0
        received = deque([_Frame(source, 0, 0)] if source.carries(kind == "fd") else [])
        while received:
            frame = received.popleft()
            mark = frame.link.received(frame.mark)
            goes_on = frame.hops < max_hops and not frame.link.ends(wire.INGRESS)
            for rule in from_source.get(frame.link.index, ()) if goes_on else ():
                receiver = there.get(rule.destination)
                if rule.kind != kind or receiver is None or not receiver.carries(kind == "fd"):
                    continue
                forwarded += 1
                assert forwarded <= STORM, f"a storm: a {kind} frame from {source.name} never ends"
                if receiver.holds_back(mark, error=kind == "errors"):
                    continue
                far = receiver.peer if receiver.peer and receiver.peer.namespace == HOST else None
                if far:
                    received.append(_Frame(far, 0, mark))
                joins = far is not None and far.group == receiver.group != 0
                if not joins and (rule.echo or receiver.kind != "vcan"):  # nobody else is on a vcan
                    left[receiver.name, kind] += 1
                if rule.echo:
                    received.append(_Frame(receiver, _hops(rule, frame.hops, max_hops), mark))
    return left


def _hops(rule: FakeRule, hops: int, max_hops: int) -> int:
    """The hop count behind a rule (can_can_gw_rcv)."""
    return max_hops - rule.limit + 1 if rule.limit and not hops else hops + 1
