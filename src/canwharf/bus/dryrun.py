"""The dry run of a recovery: what `sync` would do.

Theory of operation. It is the recovery itself, on a copy of the state and one dump of the kernel,
without the one function that sends steps to the kernel. So it cannot differ from the real one.

Rules:

- Nothing is written to the kernel or to the disk, and no event is reported.
- While a daemon serves this state, an adapter that is down was taken down by an operator, and is
  left alone: the daemon would have brought it up.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from canwharf.record import NamedTuple


class DryRun(NamedTuple):
    """What a recovery would do, and the state with what it would adopt."""

    state: State
    outcome: Outcome


class Snapshot(NamedTuple):
    """A dump of the kernel's links and gateway rules."""

    links: Sequence[Link]
    entries: Sequence[Entry]


def snapshot(requests: Requests) -> Snapshot:
    """Dump links and rules. Raises KernelError."""
    return Snapshot(link.links(requests), gateway.entries(requests))


def dry_run(
    state: State, store: Store, requests: Requests, *, served: bool, seen: Snapshot | None = None
) -> DryRun:
    """What a recovery would do now. Raises CanwharfError.

    `served` says that a daemon serves this state; `seen` is a dump that was taken already.
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
    """Plans for one dump, and sends nothing."""

    seen: Snapshot

    def _snapshot(self) -> Snapshot:
        return self.seen

    def mark_seen_up(self) -> None:
        """Take every link for one that was up: one that is down was taken down by an operator."""
        observed = self.observe()
        observed.seen_up.update(found.ifindex for found in observed.links())

    def _send_steps(self, steps: Sequence[Step], observed: Observed) -> None:
        pass


class _NoAnnouncements:
    """No announcements: there is one dump."""

    def take(self) -> list[Message]:
        return []
