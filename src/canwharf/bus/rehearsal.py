"""A recovery that changes nothing: what `sync` would do.

Theory of operation. It is the recovery itself, on a state of its own and a new look at the
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
from canwharf.kernel import link
from canwharf.kernel.message import Message
from canwharf.kernel.netlink import Requests


class Rehearsal(NamedTuple):
    """What a recovery would do, and the state with what it would take over."""

    state: State
    outcome: Outcome


def rehearse(state: State, store: Store, requests: Requests, *, served: bool) -> Rehearsal:
    """What a recovery would do now. Raises CanwharfError.

    `served` says that a daemon serves this state.
    """
    reconciler = _Idle(requests, _Silence(), state.driver)
    if served:
        before = View(link.links(requests))
        before.seen_up.update(found.ifindex for found in before.links())
        reconciler.remember(before)
    service = Service(state, store, reconciler, lambda _event: None)
    outcome = Upkeep(service, reconciler, lambda: None).sync()
    return Rehearsal(service.state, outcome)


class _Idle(Reconciler):
    """Looks and plans, and does not act."""

    def remember(self, view: View) -> None:
        """What it should know from before."""
        self._last = view

    def _apply(self, steps: Sequence[Step], view: View) -> None:
        pass


class _Silence:
    """No announcements: there is one look."""

    def take(self) -> list[Message]:
        return []
