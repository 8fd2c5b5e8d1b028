"""A recovery that changes nothing: what `sync` would do.

Theory of operation. It is the recovery itself, on a state of its own and one look at the
kernel, with the one function left out that sends steps to the kernel. So it cannot differ from
what would be done.

Rules:

- Nothing is written, neither to the kernel nor to the disk, and nothing is reported.
- While a daemon serves this state, an adapter that is down was taken down by an operator, and is
  left alone: the daemon would have brought it up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from canwharf.bus.maintain import Maintenance, Outcome
from canwharf.bus.model import State
from canwharf.bus.observed import Observed
from canwharf.bus.plan import Step
from canwharf.bus.reconcile import Reconciler
from canwharf.bus.service import Service
from canwharf.bus.store import Store
from canwharf.kernel import gateway, link
from canwharf.kernel.gateway import Entry
from canwharf.kernel.link import Link
from canwharf.kernel.message import Message
from canwharf.kernel.request import Requests


class DryRun(NamedTuple):
    """What a recovery would do, and the state with what it would take over."""

    state: State
    outcome: Outcome


class Snapshot(NamedTuple):
    """What the kernel holds, all at once."""

    links: Sequence[Link]
    entries: Sequence[Entry]


def snapshot(requests: Requests) -> Snapshot:
    """Take a look. Raises KernelError."""
    return Snapshot(link.links(requests), gateway.entries(requests))


def dry_run(
    state: State, store: Store, requests: Requests, *, served: bool, seen: Snapshot | None = None
) -> DryRun:
    """What a recovery would do now. Raises CanwharfError.

    `served` says that a daemon serves this state; `seen` is what the kernel holds, if that is
    known already.
    """
    seen = seen or snapshot(requests)
    reconciler = _DryRunReconciler(requests, _NoAnnouncements(), state.driver)
    reconciler.seen = seen
    if served:
        reconciler.mark_seen_up()
    service = Service(state, store, reconciler, lambda _event: None)
    outcome = Maintenance(service, reconciler, lambda: None).sync()
    return DryRun(service.state, outcome)


def planner(requests: Requests, driver: str) -> Reconciler:
    """A reconciler that plans and does not act. Raises KernelError."""
    planner = _DryRunReconciler(requests, _NoAnnouncements(), driver)
    planner.seen = snapshot(requests)
    return planner


class _DryRunReconciler(Reconciler):
    """Plans for what was seen, and does not act."""

    seen: Snapshot

    def _snapshot(self) -> Snapshot:
        return self.seen

    def mark_seen_up(self) -> None:
        """Every link was up once: one that is down was taken down by somebody."""
        observed = self.observe()
        observed.seen_up.update(found.ifindex for found in observed.links())

    def _send_steps(self, steps: Sequence[Step], observed: Observed) -> None:
        pass


class _NoAnnouncements:
    """No announcements: there is one look."""

    def take(self) -> list[Message]:
        return []
