"""Containers that Docker could not start, as a network of ours refused them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from canwharf.docker.stranded import _ASLEEP, stranded
from canwharf.errors import UnknownNetworkError
from tests.unit.docker.test_names import engine

LIST = f"/containers/json?all=1&filters={_ASLEEP}"
REFUSED = "failed to create endpoint ecu1 on network bus0: canwharf.service does not start"


def listed(id: str, *networks: str) -> dict[str, Any]:
    ends = {network: {"NetworkID": network} for network in networks}
    return {"Id": id, "NetworkSettings": {"Networks": ends}}


def inspected(
    name: str, policy: str = "always", error: str = REFUSED, started: str = "2026-01-02T03:04:05Z"
) -> dict[str, Any]:
    return {
        "Name": f"/{name}",
        "State": {"Error": error, "StartedAt": started},
        "HostConfig": {"RestartPolicy": {"Name": policy}},
    }


def told(answers: dict[str, object], tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "docker.sock"
    path.unlink(missing_ok=True)
    with engine(path, answers, threading.Event()) as engine_path:
        return stranded("canwharf", ["n1", "n2"], path=engine_path)


def test_those_that_should_run_and_were_refused(tmp_path: Path) -> None:
    """Not one that a person stopped, nor one of another's networks, or whose program is missing."""
    answers: dict[str, object] = {
        LIST: [
            listed("c1", "n1"),
            listed("c2", "n2", "other"),
            listed("c3", "n1"),
            listed("c4", "n1"),
            listed("c5", "other"),
            listed("c6", "n1"),
        ],
        "/containers/c1/json": inspected("ecu1"),
        "/containers/c2/json": inspected("ecu2", "unless-stopped"),
        "/containers/c3/json": inspected("stopped", error=""),
        "/containers/c4/json": inspected("by-hand", "no"),
        "/containers/c5/json": inspected("others"),
        "/containers/c6/json": inspected("broken", error="exec: nonesuch: not found"),
    }
    assert told(answers, tmp_path) == {"ecu1": REFUSED, "ecu2": REFUSED}


UNKNOWN = str(UnknownNetworkError("n1", "/var/lib/canwharf/state.json", answered=False))
POST = 'Post "http://%2Frun%2Fdocker%2Fplugins%2Fcanwharf.sock/NetworkDriver.Join": EOF'


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (f"NetworkDriver.CreateEndpoint: {UNKNOWN}", True),
        ("NetworkDriver.Join: canwharf-other.service does not start, so no container can", True),
        ('error looking up network plugin canwharf: plugin "canwharf" not found', True),
        ('plugin "canwharf:latest" not found', True),
        (POST, True),
        ("legacy plugin: dial unix /run/docker/plugins/canwharf.sock: connect: refused", True),
        ('plugin "weave" not found', False),
        ('plugin "canwharf-other" not found', False),
        (POST.replace("canwharf", "weave"), False),
        (
            "driver failed programming external connectivity on endpoint canwharf: port is taken",
            False,
        ),
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', False),
        ("NetworkDriver.CreateEndpoint: there is no interface can0", False),
    ],
)
def test_only_what_lacked_canwharf_is_started(error: str, ours: bool, tmp_path: Path) -> None:
    """Anything else would be started again and again, or is its owner's to decide."""
    answers: dict[str, object] = {
        LIST: [listed("c1", "n1")],
        "/containers/c1/json": inspected("ecu1", error=error),
    }
    assert told(answers, tmp_path) == ({"ecu1": error} if ours else {})


def test_one_that_never_ran_is_not_started(tmp_path: Path) -> None:
    """Whoever made it has seen the error, and may not want it any more."""
    answers: dict[str, object] = {
        LIST: [listed("c1", "n1")],
        "/containers/c1/json": inspected("ecu1", started="0001-01-01T00:00:00Z"),
    }
    assert told(answers, tmp_path) == {}


def test_an_engine_that_says_something_else(tmp_path: Path) -> None:
    """What it does not tell is not guessed."""
    assert told({}, tmp_path) == {}
    assert told({LIST: {"message": "no"}}, tmp_path) == {}
    odd = [None, {"Id": "c1", "NetworkSettings": None}, listed("gone", "n1"), listed("c2", "n1")]
    assert told({LIST: odd, "/containers/c2/json": []}, tmp_path) == {}
