"""Coming from another driver: its networks are taken over, from its file and from the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from canwharf.bus import events
from canwharf.bus.events import ERROR, INFO, Event
from canwharf.bus.model import Settings
from canwharf.daemon import run
from canwharf.docker import engine, migration
from tests.fake.daemon import DRIVER, Daemon

N1, N2, N3 = ("1" * 64, "2" * 64, "3" * 64)

# As it writes it: serde_json's to_string_pretty of a map of {device, peer, canid}
KEPT = f"""{{
  "{N1}": {{
    "device": "vcan",
    "peer": "can",
    "canid": "0"
  }},
  "{N2}": {{
    "device": "can_host",
    "peer": "vcanp",
    "canid": "12"
  }}
}}"""

Told = Mapping[str, Mapping[str, object]] | None


def inherited(
    content: str | None, directory: Path
) -> tuple[dict[str, dict[str, object]], list[Event]]:
    """What is taken out of a file, and what is said of it."""
    path = directory / "networks.json"
    if content is not None:
        path.write_text(content)
    said: list[Event] = []
    return migration.networks("rustyvxcan", said.append, {"rustyvxcan": str(path)}), said


def take_over(
    daemon: Daemon, told: Told, kept: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Settings]:
    """A first start, with an engine that knows this; the networks that are there then."""
    monkeypatch.setattr(engine, "networks", lambda _driver, _limit: told)
    run._rebuild(daemon.service, 2.0, inherited(kept, directory)[0])
    return {id: network.settings for id, network in daemon.service.state.networks.items()}


def test_its_file_is_where_it_keeps_it() -> None:
    """Under its own driver's name; another driver's file is none of our business."""
    place = "/var/lib/docker/network/files/rustycan4docker-networks.json"
    assert {"rustyvxcan": place} == migration.FILES
    said: list[Event] = []
    assert migration.networks("canwharf", said.append) == {}
    assert said == []


def test_its_networks_as_it_stored_them(tmp_path: Path) -> None:
    """And the file stays as it was: there is a way back."""
    found, said = inherited(KEPT, tmp_path)
    assert found == {
        N1: {"vxcan.dev": "vcan", "vxcan.id": "0", "vxcan.peer": "can"},
        N2: {"vxcan.dev": "can_host", "vxcan.id": "12", "vxcan.peer": "vcanp"},
    }
    assert [(event.level, event.fields["networks"]) for event in said] == [(INFO, "2")]
    assert (tmp_path / "networks.json").read_text() == KEPT


def test_no_file_is_no_word(tmp_path: Path) -> None:
    """docker-vxcan has none."""
    assert inherited(None, tmp_path) == ({}, [])


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0", "[" * 100_000])
def test_a_broken_file_is_reported_and_not_fatal(content: str, tmp_path: Path) -> None:
    """Without the daemon no container of any network would start."""
    found, said = inherited(content, tmp_path)
    assert found == {}
    assert [event.level for event in said] == [ERROR]
    assert said[0].fields["file"] == str(tmp_path / "networks.json")


def test_a_directory_in_its_place_is_reported(tmp_path: Path) -> None:
    """Whatever is there."""
    (tmp_path / "networks.json").mkdir()
    found, said = inherited(None, tmp_path)
    assert found == {}
    assert said[0].fields["error"] == "Is a directory"


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("no id", {"device": "vcan", "peer": "can", "canid": "0"}),
        ("", {"device": "vcan", "peer": "can", "canid": "0"}),
        (N3, None),
        (N3, []),
        (N3, {}),
        (N3, {"device": "vcan", "peer": "can"}),
        (N3, {"device": "vcan", "peer": "can", "canid": 0}),
        (N3, {"device": None, "peer": "can", "canid": "0"}),
    ],
)
def test_a_broken_network_does_not_keep_the_others(id: str, value: object, tmp_path: Path) -> None:
    """It is left out and named, with the reason."""
    found, said = inherited(json.dumps({**json.loads(KEPT), id: value}), tmp_path)
    assert set(found) == {N1, N2}
    (fault,) = [event for event in said if event.level == ERROR]
    assert fault.type == events.NETWORK_NOT_ADOPTED
    assert fault.fields["network"] == id


def test_at_a_boot_the_file_alone_is_enough(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker starts after us and its containers with it: they find their networks."""
    found = take_over(daemon, None, KEPT, tmp_path, monkeypatch)
    assert found == {N1: Settings("vcan0", "can"), N2: Settings("can_host12", "vcanp")}
    daemon.maintenance.run(0.0, active=False)
    daemon.run_container(N1, "e1")
    daemon.run_container(N1, "e2")
    daemon.assert_exactly_once("vcan0")
    assert set(daemon.restarted().service.state.networks) == {N1, N2}


def test_docker_is_asked_later_for_what_the_file_does_not_know(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of an old version, or of one that could not write."""
    take_over(daemon, None, KEPT, tmp_path, monkeypatch)
    assert not daemon.service.state.complete
    daemon.engine = {N1: {}, N3: {"vxcan.id": "7"}}
    daemon.resync()
    assert daemon.service.state.complete
    assert daemon.service.state.networks[N3].settings == Settings("vcan7", "vcanp")
    assert daemon.service.state.networks[N1].settings == Settings("vcan0", "can")


def test_what_docker_has_removed_does_not_come_back(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker knows which networks there are; the file tells how the driver understood them."""
    told = {N1: {}, N3: {"vxcan.dev": "mine", "vxcan.id": "3"}}
    found = take_over(daemon, told, KEPT, tmp_path, monkeypatch)
    assert found == {N1: Settings("vcan0", "can"), N3: Settings("mine3", "vcanp")}
    assert daemon.service.state.complete


def test_its_defaults_are_ours(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that was made without any option."""
    found = take_over(daemon, {N1: {}}, "{}", tmp_path, monkeypatch)
    assert found == {N1: Settings("vcan0", "vcanp")}


def test_an_option_that_cannot_work_is_named(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ancestor took anything; the others' networks are there all the same."""
    kept = json.dumps(
        {**json.loads(KEPT), N3: {"device": "much_too_long_for", "peer": "can", "canid": "0"}}
    )
    assert set(take_over(daemon, None, kept, tmp_path, monkeypatch)) == {N1, N2}
    (fault,) = daemon.said(events.NETWORK_NOT_ADOPTED)
    assert fault.fields["network"] == N3
    assert "at most 15" in fault.fields["error"]


def test_only_the_first_start_under_its_name_takes_its_file(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or networks that were removed since would be back."""
    (tmp_path / "networks.json").write_text(KEPT)
    monkeypatch.setitem(migration.FILES, "rustyvxcan", str(tmp_path / "networks.json"))
    report = daemon.events.append
    assert set(run._inherited(daemon.store, "rustyvxcan", report)) == {N1, N2}
    assert run._inherited(daemon.store, DRIVER, report) == {}
    assert run._inherited(daemon.store, "somebody/vxcan:latest", report) == {}
    daemon.service.create_network("n1", {})
    assert run._inherited(daemon.store, "rustyvxcan", report) == {}
