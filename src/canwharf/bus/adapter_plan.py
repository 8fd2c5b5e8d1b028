"""What a plan does with an adapter: its settings, its own name, and what is left of one. Pure.

Rules:

- An adapter gets the settings of its network, and is brought up, if it was not up yet (it was
  plugged in, the machine has booted), and when its network is created. An adapter that is up is
  left alone, whatever its settings, unless its network has can.force. One that an operator took
  down stays down. An adapter that we brought up has our alias, and is taken down when its last
  network is removed.
- A moved adapter is configured when its container joins. If it comes back under another name, it
  is renamed; until then no other bus uses it. The same holds after its network is gone.
"""

from __future__ import annotations

from canwharf.bus import adapter
from canwharf.bus.model import Bus
from canwharf.bus.naming import AdapterOwner, owner_of
from canwharf.bus.observed import Observed
from canwharf.bus.steps import Configure, Rename, Scope, Step, TakeDown
from canwharf.bus.wiring import Member
from canwharf.kernel import can
from canwharf.kernel.can import CanSettings
from canwharf.kernel.link import Link

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterator


def steps(bus: Bus, observed: Observed, scope: Scope) -> tuple[list[Step], Member | None]:
    """The steps that set up the adapter of a physical bus, and it as a member, if it is there."""
    port = bus.interface
    link = adapter.link_of(bus, observed)
    if link is None:
        return _rename_back(bus, observed), None
    requested = port.name == scope.adapter
    settings = _settings(bus, link, observed, requested) if port.name in scope.targets else None
    if settings is None:
        return [], Member(port, link, adapter=True)
    ours = bus.adapter.moved or not link.alias  # a foreign alias is left as it is
    step = Configure(link, settings, port.owner if ours else None)
    return [step], Member(port, link, adapter=True, settings=settings)


def _settings(bus: Bus, link: Link, observed: Observed, requested: bool) -> CanSettings | None:
    """The settings to apply to an adapter: empty ones for its alias only; None: leave it alone.

    `requested` says that this is a call about the adapter itself.
    """
    settings, moved = bus.adapter.settings, bus.adapter.moved
    if link.up:
        controller, wanted = link.controller, False
        if controller and bus.adapter.force:
            wanted = bool(can.differences(settings.sure, controller, link.txqueuelen))
    else:
        wanted = requested or not (moved or link.ifindex in observed.seen_up)
    if wanted and not settings.empty:
        return settings
    if moved and requested and owner_of(link) != bus.interface.owner:
        return CanSettings()
    return None


def _rename_back(bus: Bus, observed: Observed) -> list[Step]:
    """The step for a moved adapter that came back under the name that it had in its container."""
    name, owner = bus.interface.name, bus.interface.owner
    if not bus.adapter.moved or observed.link(name) is not None:
        return []
    return [Rename(each, name) for each in observed.links() if owner_of(each) == owner]


def orphans(driver: str, name: str, observed: Observed) -> Iterator[Step]:
    """The steps for a moved adapter that came back after its network was removed."""
    for link in observed.links():
        if owner_of(link) == AdapterOwner(driver, name):
            yield TakeDown(link)
            if observed.link(name) is None:
                yield Rename(link, name)
