"""Our own calls: the path of each -> what is done.

/Canwharf.Sync is made by `canwharf sync`; /Canwharf.State by `canwharf doctor`, which asks why the
state could not be written, and by both to learn the version of the daemon.
"""

from __future__ import annotations

from canwharf import __version__
from canwharf.bus.maintain import Outcome
from canwharf.bus.service import Service

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def table(
    service: Service, sync: Callable[[], Outcome], fault: Callable[[], str]
) -> dict[str, Callable[[Mapping[str, object]], dict[str, object]]]:
    """The calls by their path.

    `sync` recovers everything, `fault` tells why the state could not be written (empty: it could).
    """

    def synchronize(_content: Mapping[str, object]) -> dict[str, object]:
        done = sync()
        service.save()
        changes = [each._asdict() for each in done.changes]
        return {"Changes": changes, "Faults": list(done.faults)}

    return {
        "/Canwharf.Sync": synchronize,
        "/Canwharf.State": lambda _content: {"Fault": fault(), "Version": __version__},
    }
