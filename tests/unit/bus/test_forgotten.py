"""Down to version 0.2, which writes the state without policies, and up again.

A container that may not send or receive something must not be open after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from canwharf.bus import events, firewall
from canwharf.bus.adopt import Known
from canwharf.bus.model import CLOSED, EVERYTHING, OPEN, Policy
from canwharf.daemon import run
from canwharf.docker import engine
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

OPEN_NET, NARROW = {"can.name": "can"}, {"can.name": "can", "can.send": "100"}
ALL: Known = {"n1": OPEN_NET, "n2": NARROW}
Again: TypeAlias = "Callable[[Known | None], Daemon]"


@pytest.fixture
def older(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Again:
    """Version 0.2 runs for a while, and starts a container; gives the next start of this one.

    That is told what the engine answers.
    """
    for id, options in ALL.items():
        daemon.service.create_network(id, options)
    daemon.service.adopt_networks({})
    daemon.run_container("n1", "open")
    for whose, own in (
        (("n1", "narrow"), {"can.receive": "7df"}),
        (("n2", "own"), {"can.send": "all"}),
    ):
        daemon.service.create_endpoint(*whose, own)
        daemon.start_container(*whose)
    daemon.run_container("n2", "narrow")
    daemon.maintenance.repair()
    # The other version starts this one without filters.
    daemon.run_container("n2", "late")
    daemon.kernel.delete_filters(daemon.port("n2", "late"), "all")
    daemon.end()
    forget(daemon.directory)

    def again(answer: Known | None) -> Daemon:
        monkeypatch.setattr(engine, "networks", lambda *_args: answer)
        later = Daemon(daemon.directory, daemon.kernel)
        later.engine = answer
        if not later.service.state.complete:
            run._rebuild(later.service, 0.0, {})
        later.maintenance.run(0.0, active=False)
        return later

    return again


def forget(directory: Path) -> None:
    """Write the file as version 0.2 does."""
    path = directory / "state.json"
    content = json.loads(path.read_text())
    for network in content["networks"].values():
        del network["policy"]
        for endpoint in network["endpoints"].values():
            del endpoint["policy"]
    path.write_text(json.dumps(content))


def policy_of(daemon: Daemon, network: str, endpoint: str) -> Policy | None:
    return daemon.service.state.networks[network].policy_of(endpoint)


def hears(daemon: Daemon, whose: tuple[str, str]) -> bool:
    """Whether a container receives what a program on the host sends."""
    return daemon.kernel.deliveries("vcan0")[daemon.port(*whose), "classic"] == 1


def test_the_engine_tells_them_at_the_start(older: Again) -> None:
    """A network's; a container's own are its filters in the kernel, until it starts again."""
    daemon = older(ALL)
    assert policy_of(daemon, "n1", "open") == OPEN
    assert policy_of(daemon, "n1", "narrow") is None
    assert policy_of(daemon, "n2", "own") == EVERYTHING
    assert policy_of(daemon, "n2", "narrow") is None
    assert policy_of(daemon, "n2", "late") == Policy("100")
    assert hears(daemon, ("n1", "open"))
    assert len(daemon.said(events.POLICY_FOUND)) == 2
    assert daemon.maintenance.sync().steps == ()
    assert daemon.store.load("canwharf")[0] == daemon.service.state


def test_until_then_they_are_closed_and_the_log_says_so(older: Again) -> None:
    """But for those that had all. A container that starts asks the engine once more."""
    daemon = older(None)
    assert policy_of(daemon, "n2", "late") == CLOSED
    assert policy_of(daemon, "n1", "open") == policy_of(daemon, "n2", "own") == EVERYTHING
    assert not hears(daemon, ("n2", "late"))
    assert hears(daemon, ("n1", "open"))
    daemon.run_container("n2", "new")
    assert policy_of(daemon, "n2", "new") == CLOSED
    assert daemon.said(events.POLICY_FORGOTTEN)
    daemon.engine = ALL
    daemon.run_container("n2", "newer")
    daemon.maintenance.run(1.0, active=True)
    assert policy_of(daemon, "n2", "newer") == policy_of(daemon, "n2", "late") == Policy("100")
    assert policy_of(daemon, "n1", "open") == OPEN
    assert hears(daemon, ("n1", "open"))


def test_a_restart_meanwhile_changes_nothing(older: Again) -> None:
    """What is not known is so in the file."""
    for answer, known in ((None, CLOSED), (None, CLOSED), (ALL, Policy("100"))):
        daemon = older(answer)
        assert policy_of(daemon, "n2", "late") == known
        assert daemon.service.state.complete == (answer is not None)
        daemon.end()


def test_also_over_a_reboot(older: Again) -> None:
    """The kernel has no filters then, and the first container comes before the engine answers."""
    daemon = older(None)
    daemon.end()
    later = Daemon(daemon.directory, FakeKernel(), "boot-2")
    later.run_container("n2", "first")
    assert policy_of(later, "n2", "first") == CLOSED


def test_a_runtime_that_knows_no_list_tells_them_with_its_next_container(older: Again) -> None:
    """Podman gives a network's options with each. Others than the known ones are refused."""
    daemon = older(None)
    with pytest.raises(Exception, match="exists with other options"):
        daemon.service.create_network("n2", {"can.name": "other", "can.send": "100"})
    daemon.service.create_network("n2", NARROW)
    assert policy_of(daemon, "n2", "late") == Policy("100")
    daemon.maintenance.run(1.0, active=True)
    assert hears(daemon, ("n2", "late"))


def test_an_option_that_cannot_be_read_leaves_the_network_closed(older: Again) -> None:
    """And the others get theirs."""
    daemon = older({**ALL, "n2": {"can.send": "12345"}})
    assert policy_of(daemon, "n2", "late") == CLOSED
    assert policy_of(daemon, "n1", "open") == OPEN
    assert [each.fields["network"] for each in daemon.said(events.NETWORK_NOT_ADOPTED)] == ["n2"]


def test_a_first_upgrade_is_no_loss(daemon: Daemon) -> None:
    """No policy was ever there: nothing is closed, and the engine is not asked."""
    daemon.service.create_network("n1", OPEN_NET)
    daemon.service.adopt_networks({})
    daemon.run_container("n1", "open")
    daemon.maintenance.repair()
    daemon.end()
    forget(daemon.directory)
    later = Daemon(daemon.directory, daemon.kernel)
    assert later.service.state.complete
    assert policy_of(later, "n1", "open") == OPEN
    assert not later.maintenance.sync().steps


def test_a_container_can_be_given_new_words_meanwhile(older: Again) -> None:
    daemon = older(None)
    firewall.set_policy(daemon.service, "n2", "late", {"can.send": "all", "can.receive": "all"})
    assert hears(daemon, ("n2", "late"))
