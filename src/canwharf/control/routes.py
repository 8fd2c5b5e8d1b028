"""Our own calls: the path of each -> what is done.

/Canwharf.Sync is made by `canwharf sync`; /Canwharf.State by `canwharf doctor`, which asks why the
state could not be written, and by both to learn the version of the daemon; /Canwharf.Filter by
`canwharf filter`.
"""

from __future__ import annotations

from canwharf import __version__
from canwharf.bus.maintain import Outcome
from canwharf.bus.service import Service
from canwharf.errors import RequestError

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

    def filter(content: Mapping[str, object]) -> dict[str, object]:
        from canwharf.bus import firewall  # noqa: PLC0415 (not everybody filters)

        given = content.get("Policy")
        if not isinstance(given, dict):
            raise RequestError("the field Policy must be an object with options")
        ids = str(content.get("Network")), str(content.get("Endpoint"))
        before, after = firewall.set_policy(service, *ids, given)
        return {"Before": before._asdict(), "After": after._asdict()}

    return {
        "/Canwharf.Filter": filter,
        "/Canwharf.Sync": synchronize,
        "/Canwharf.State": lambda _content: {"Fault": fault(), "Version": __version__},
    }
