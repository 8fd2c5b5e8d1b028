"""The dry run of a recovery: what `sync` would do.

Theory of operation. It is the recovery itself, on a copy of the state and one dump of the kernel,
without the one function that sends steps to the kernel. So it cannot differ from the real one.

Rules:

- Nothing is written to the kernel or to the disk, and no event is reported.
- What the kernel can do for linear buses is not tried, but concluded (`shape`).
- While a daemon serves this state, an adapter that is down was taken down by an operator, and is
  left alone: the daemon would have brought it up.
"""

from __future__ import annotations

from canwharf.bus import shape
from canwharf.bus.maintain import Maintenance, Outcome
from canwharf.bus.model import State
from canwharf.bus.observed import Observed
from canwharf.bus.reconcile import Reconciler, Sent, Snapshot, snapshot
from canwharf.bus.service import Service
from canwharf.bus.steps import Step
from canwharf.bus.store import Store
from canwharf.kernel.message import Message
from canwharf.kernel.request import Requests
from canwharf.kernel.traffic_control import Ability
from canwharf.record import NamedTuple

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class DryRun(NamedTuple):
    """What a recovery would do, and the state with what it would adopt.

    `ability` is what the kernel has for linear buses; None: all that they need.
    """

    state: State
    outcome: Outcome
    ability: Ability | None


def dry_run(
    state: State,
    store: Store,
    requests: Requests,
    *,
    served: bool,
    seen: Snapshot | None = None,
    modules: Mapping[str, str] = {},
) -> DryRun:
    """What a recovery would do now. Raises CanwharfError.

    `served` says that a daemon serves this state; `seen` is a dump that was taken already;
    `modules` are the states of the kernel's modules, as far as they are known.
    """
    seen = seen or snapshot(requests)
    reconciler = _DryRunReconciler(requests, _NoAnnouncements(), state.driver)
    reconciler.seen = seen
    reconciler.concluded = shape.expected(reconciler.observe(), modules, served=served)
    if served:
        reconciler.mark_seen_up()
    service = Service(state, store, reconciler, lambda _event: None)
    outcome = Maintenance(service, reconciler, lambda: None).sync()
    return DryRun(service.state, outcome, reconciler.concluded)


def planner(requests: Requests, driver: str) -> Reconciler:
    """A reconciler that plans and does not act. Raises KernelError."""
    planner = _DryRunReconciler(requests, _NoAnnouncements(), driver)
    planner.seen = snapshot(requests)
    return planner


class _DryRunReconciler(Reconciler):
    """Plans for one dump, and sends nothing."""

    seen: Snapshot
    concluded: Ability | None = None

    def try_linear(self) -> None:
        """Take the conclusion for the result of a try."""
        self._observed.ability = self.concluded

    def _snapshot(self) -> Snapshot:
        return self.seen

    def mark_seen_up(self) -> None:
        """Take every link for one that was up: one that is down was taken down by an operator."""
        observed = self.observe()
        observed.seen_up.update(found.ifindex for found in observed.links())

    def _send_steps(self, steps: Sequence[Step], observed: Observed) -> Sent:  # noqa: ARG002
        return Sent(tuple(steps))


class _NoAnnouncements:
    """No announcements: there is one dump."""

    def take(self) -> list[Message]:
        return []
