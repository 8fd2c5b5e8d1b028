"""Filters and qdiscs of ours that were deleted, as the kernel announces it. Pure.

A link that is deleted takes them along without a word; that it is gone is announced.
"""

from __future__ import annotations

from canwharf.bus.observed import Observed
from canwharf.kernel import firewall, impairment, injection, traffic_control
from canwharf.kernel.message import Message

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator


def deletions(message: Message, observed: Observed) -> list[str]:
    """Believe an announcement of something deleted; the names of the link that it is about.

    Raises MessageError on a malformed one.
    """
    return [
        name
        for index in _believed(message, observed)
        if (link := observed.at(index))
        for name in observed.names(link)
    ]


def _believed(message: Message, observed: Observed) -> Iterator[int]:
    """The indexes of links that lost something of ours; what is left is observed."""
    index, left = traffic_control.after(message, observed.marks)
    if observed.at(index):
        observed.put_marks(index, left)
        yield index
    index, lets = firewall.after(message, observed.firewall)
    if observed.at(index):
        observed.put_firewall(index, lets, announced=True)
        yield index
    index, faults = injection.after(message, observed.injected)
    if observed.at(index):
        observed.put_injected(index, faults)
        yield index
    index = impairment.straightened(message)
    if observed.redirect(index) is not None:
        observed.put_redirect(index, None)
        yield index
    index = impairment.damaged(message)
    if observed.qdiscs(index) != impairment.NOTHING:
        observed.put_qdiscs(index, impairment.NOTHING)
        yield index
