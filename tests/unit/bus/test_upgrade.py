"""Rules that an earlier version made: known as ours, and replaced where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.bus import events
from tests.fake import wire
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel


def aged(directory: Path, hops: int = 1) -> Daemon:
    """A bus of two containers whose rules were made by an earlier version."""
    daemon = Daemon(directory, FakeKernel(max_hops=hops))
    daemon.service.create_network("n1", {"can.interface": "vcan0", "can.name": "can"})
    for endpoint in ("e1", "e2"):
        daemon.run_container("n1", endpoint)
    kernel = daemon.kernel
    old = [rule for rule in kernel.rules if rule.kind != "errors"]
    kernel.rules = [rule._replace(flags=rule.flags | wire.ECHO, more=b"") for rule in old]
    return daemon.restarted()


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_an_upgrade_leads_to_exactly_once(tmp_path: Path, hops: int) -> None:
    """For any limit of can-gw; and the log has no warning."""
    daemon = aged(tmp_path, hops)
    host = daemon.kernel.deliveries("vcan0")
    assert (max(host.values()) == 1) == (hops == 1)
    assert daemon.maintenance.recover()
    daemon.assert_exactly_once("vcan0")
    assert {rule.limit for rule in daemon.kernel.rules} == {1}
    (event,) = daemon.said(events.RULES_REPLACED)
    assert event.fields == {"rules": "12"}
    assert not daemon.said(events.RULE_DUPLICATE)


def test_the_newest_rules_are_replaced_first(tmp_path: Path) -> None:
    """The kernel looks through all that are newer: else 100 containers would take a minute.

    Calls wait meanwhile, and one that works for a minute is taken for hung.
    """
    daemon = aged(tmp_path)
    assert daemon.maintenance.recover()
    made = [rule for rule in reversed(daemon.kernel.rules) if rule.kind != "errors"]
    newest = [max(rule.source, rule.destination) for rule in made]
    assert newest == sorted(newest, reverse=True)


def test_an_upgrade_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    """Half of the rules are new: none is added to one that is there."""
    daemon = aged(tmp_path)
    daemon.kernel.refuse(9)
    assert not daemon.maintenance.recover()
    assert daemon.restarted().maintenance.recover()
    daemon.assert_exactly_once("vcan0")


def test_the_first_request_gets_them(tmp_path: Path) -> None:
    daemon = aged(tmp_path)
    told = [each.line for each in daemon.maintenance.sync().changes]
    port = daemon.port("n1", "e1")
    line = f"replace an earlier version's gateway rule vcan0 -> {port} (classic, FD)"
    assert line in told
