"""A recovery that changes nothing: what `sync` would do.

Theory of operation. It is the recovery itself, on a state of its own and one look at the
kernel, with the one function left out that sends steps to the kernel. So it cannot differ from
what would be done.

Rules:

- Nothing is written, neither to the kernel nor to the disk, and nothing is reported.
- While a daemon serves this state, an adapter that is down was taken down by somebody, and is left
  alone: the daemon would have brought it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from canwharf.bus.model import State
from canwharf.bus.plan import Step
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.bus.store import Store
from canwharf.bus.upkeep import Outcome, Upkeep
from canwharf.bus.view import View
from canwharf.kernel import gateway, link
from canwharf.kernel.gateway import Entry
from canwharf.kernel.link import Link
from canwharf.kernel.message import Message
from canwharf.kernel.netlink import Requests


class Rehearsal(NamedTuple):
    """What a recovery would do, and the state with what it would take over."""

    state: State
    outcome: Outcome


class Look(NamedTuple):
    """What the kernel holds, all at once."""

    links: Sequence[Link]
    entries: Sequence[Entry]


def look(requests: Requests) -> Look:
    """Take a look. Raises KernelError."""
    return Look(link.links(requests), gateway.entries(requests))


def rehearse(
    state: State, store: Store, requests: Requests, *, served: bool, seen: Look | None = None
) -> Rehearsal:
    """What a recovery would do now. Raises CanwharfError.

    `served` says that a daemon serves this state; `seen` is what the kernel holds, if somebody has
    looked.
    """
    seen = seen or look(requests)
    reconciler = _Idle(requests, _Silence(), state.driver)
    reconciler.seen = seen
    if served:
        before = View(seen.links)
        before.seen_up.update(found.ifindex for found in before.links())
        reconciler.remember(before)
    service = Service(state, store, reconciler, lambda _event: None)
    outcome = Upkeep(service, reconciler, lambda: None).sync()
    return Rehearsal(service.state, outcome)


def idle(requests: Requests, driver: str) -> Reconciler:
    """A reconciler that plans and does not act. Raises KernelError."""
    made = _Idle(requests, _Silence(), driver)
    made.seen = look(requests)
    return made


class _Idle(Reconciler):
    """Plans for what was seen, and does not act."""

    seen: Look

    def _look(self) -> Look:
        return self.seen

    def remember(self, view: View) -> None:
        """What it should know from before."""
        self._last = view

    def _apply(self, steps: Sequence[Step], view: View) -> None:
        pass


class _Silence:
    """No announcements: there is one look."""

    def take(self) -> list[Message]:
        return []
