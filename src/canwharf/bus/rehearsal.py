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


def rehearse(state: State, store: Store, requests: Requests, *, served: bool) -> Outcome:
    """What a recovery would do now. Raises CanwharfError.

    `served` says that a daemon serves this state.
    """
    seen_up = {found.ifindex for found in link.links(requests)} if served else set()
    reconciler = _Idle(requests, _Silence(), state.driver, seen_up)
    service = Service(state, store, reconciler, lambda _event: None)
    return Upkeep(service, reconciler, lambda: None).sync()


class _Idle(Reconciler):
    """Looks and plans, and does not act."""

    def __init__(
        self, requests: Requests, silence: _Silence, driver: str, seen_up: set[int]
    ) -> None:
        super().__init__(requests, silence, driver)
        self._seen_up = seen_up

    def _apply(self, steps: Sequence[Step], view: View) -> None:
        pass


class _Silence:
    """No announcements: there is one look."""

    def take(self) -> list[Message]:
        return []
