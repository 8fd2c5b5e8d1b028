"""The managed plugin's description: what in it would take all of Docker down, or the state away."""

from __future__ import annotations

import json

from canwharf.docker import engine
from tests import REPOSITORY

CONFIG = json.loads((REPOSITORY / "packaging/plugin/config.json").read_text())
# On every Linux, before Docker starts.
ALWAYS_THERE = {"/run", "/var/lib"}


def test_every_mount_has_a_source_that_is_there_at_boot() -> None:
    """Docker itself panics at its start where one is missing (seen up to 28.5)."""
    assert {mount["source"] for mount in CONFIG["mounts"]} <= ALWAYS_THERE


def test_the_state_survives_an_upgrade() -> None:
    """A propagated mount belongs to the plugin's id, and goes with it."""
    assert "propagatedMount" not in CONFIG
    (state,) = (mount for mount in CONFIG["mounts"] if mount["destination"] == "/var/lib")
    assert "ro" not in state["options"]
    assert CONFIG["entrypoint"][-1] == "serve"  # with its usual --state-dir, /var/lib/canwharf


def test_namespaces_that_come_later_are_seen() -> None:
    """Docker mounts a container's in /run/docker/netns when it starts it."""
    (run,) = (mount for mount in CONFIG["mounts"] if mount["destination"] == "/run")
    assert set(run["options"]) == {"rbind", "rslave"}


def test_the_plugin_has_the_name_that_the_engines_list_is_searched_for() -> None:
    assert CONFIG["interface"]["socket"] == f"{engine.PLUGIN}.sock"


def test_no_more_rights_than_it_needs() -> None:
    """The host's network, and the right to configure it."""
    assert CONFIG["linux"] == {"capabilities": ["CAP_NET_ADMIN"]}
    assert CONFIG["network"] == {"type": "host"}
    assert "ipchost" not in {key.lower() for key in CONFIG}
    assert "pidhost" not in {key.lower() for key in CONFIG}
