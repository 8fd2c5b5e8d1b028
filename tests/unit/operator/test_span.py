"""A bus across hosts, as it is told: whether something connects it, and what to do if not."""

from __future__ import annotations

import json
from typing import Any

from canwharf.bus.naming import Span
from canwharf.operator.doctor.finding import OK, WARN
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.status import Status
from tests.fake.daemon import Daemon
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen


def spanned(busy: Daemon, *connected: str) -> Status:
    """A status with one bus, whose span is bench7."""
    status = seen(busy)
    report = status.reports[0]._replace(span=Span("bench7", 0))
    return status._replace(reports=(report,), spanned=connected)


def bus(status: Status) -> dict[str, Any]:
    (found,) = json.loads(json.dumps(to_dict(status)))["buses"]
    assert isinstance(found, dict)
    return found


def test_a_bus_that_is_connected(busy: Daemon) -> None:
    interface = seen(busy).reports[0].interface
    status = spanned(busy, interface)
    assert "  span bench7, by 'canwharf span'" in text.render(status, terminal.plain).splitlines()
    assert bus(status)["span"] == {"name": "bench7", "max_age_ms": None, "connected": True}
    (finding,) = told("spans", WELL._replace(status=status))
    assert finding.level == OK


def test_a_bus_that_nothing_connects(busy: Daemon) -> None:
    """Containers on it hear each other as ever; that no other host is heard must be seen."""
    status = spanned(busy)
    line = "  span bench7, but no 'canwharf span' runs: no other host is heard"
    assert line in text.render(status, terminal.plain).splitlines()
    assert bus(status)["span"]["connected"] is False
    (finding,) = told("spans", WELL._replace(status=status))
    assert (finding.level, finding.fix) == (WARN, "canwharf span --help")
    (finding,) = told("spans", WELL._replace(status=status, zenoh=False))
    assert (finding.level, finding.fix) == (WARN, "pip install 'canwharf[span]'")


def test_nothing_is_said_of_a_bus_without_one(busy: Daemon) -> None:
    status = seen(busy)
    assert "span" not in text.render(status, terminal.plain)
    assert {each["span"] for each in json.loads(json.dumps(to_dict(status)))["buses"]} == {None}
    (finding,) = told("spans", WELL._replace(status=status, zenoh=False))
    assert (finding.level, finding.fix) == (OK, "")
