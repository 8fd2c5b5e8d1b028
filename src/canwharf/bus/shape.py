"""Which shape buses have or will have, told without a change in the kernel. Pure.

Theory of operation. The daemon and `sync` try what a linear bus needs, on its hub (`reconcile`).
`status`, the doctor and a dry run change nothing. They conclude it, in this order:

- Where a hub of ours is, buses are linear.
- Where the files of the kernel's modules lack one of those that a linear bus needs, they are not.
- Where containers are connected directly, and a daemon serves, it has tried: the kernel refuses,
  for a reason that files do not tell. If all modules are loaded by now, `sync` will be able to.
- Everywhere else the first hub has not been made yet.
"""

from __future__ import annotations

from canwharf.bus import interfaces
from canwharf.bus.naming import HubOwner, owner_of
from canwharf.bus.observed import Observed
from canwharf.kernel import needed
from canwharf.kernel.traffic_control import Ability

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Mapping


def expected(observed: Observed, modules: Mapping[str, str], *, served: bool) -> Ability | None:
    """What a try would say that the kernel can do; None: all that a linear bus needs.

    `modules` are the states of the modules, as far as they are known. `served` says that a daemon
    serves the buses. An ability without missing modules is one that is refused all the same.
    """
    owners = (owner_of(link) for link in observed.links())
    if any(isinstance(each, HubOwner) and each.driver == observed.driver for each in owners):
        return None
    if missing := needed.lacking(modules):
        return Ability("", missing)
    states = needed.for_linear(modules).values()
    ready = bool(states) and {needed.LOADED, needed.BUILT_IN}.issuperset(states)
    return Ability("") if served and not ready and _is_mesh(observed) else None


def _is_mesh(observed: Observed) -> bool:
    """Whether two containers are connected by a rule between their host ends."""
    ends = {link.ifindex for _owner, link in interfaces.pairs(observed)}
    return any(not ends.isdisjoint(observed.destinations(index)) for index in ends)
