"""Where the kernel lacks a module, buses are meshes, and canwharf says so; and it tries again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world.board import Board

LISTS = "/lib/modules/$(uname -r)/modules.dep"
MODULE = "act_skbedit"


def status(board: Board) -> dict[str, Any]:
    """The one bus, and what `sync` would do."""
    told: dict[str, Any] = json.loads(board.sh("python3 -m canwharf status --json"))
    (bus,) = told["buses"]
    return {**bus, "sync": told["sync"]}


def shape(board: Board) -> dict[str, Any]:
    """What the doctor says of it."""
    done = board.guest.run("python3 -m canwharf doctor --json", check=False)
    findings = json.loads(done.stdout)["findings"]
    (finding,) = [each for each in findings if each["check"] == "shape"]
    assert not [each for each in findings if each["level"] == "failure"], findings
    return dict(finding)


@pytest.fixture
def lacking(board: Board) -> Iterator[Board]:
    """The kernel has lost a module that the hub needs, and can load none."""
    board.sh(
        f"rmmod {MODULE} && grep -v {MODULE} {LISTS} >/tmp/modules.dep && "
        f"mount --bind /tmp/modules.dep {LISTS} && echo /bin/false >/proc/sys/kernel/modprobe"
    )
    yield board
    board.sh(f"echo /sbin/modprobe >/proc/sys/kernel/modprobe; umount {LISTS}", check=False)
    board.clean()
    board.sh(f"modprobe {MODULE}")


def test_a_mesh_until_the_module_is_there(lacking: Board) -> None:
    """Each frame arrives once before and after; the dry run says what sync then does."""
    lacking.network()
    lacking.container("ecu1")
    lacking.container("ecu2")
    members = "host:vcan0", lacking.member("ecu1"), lacking.member("ecu2")
    lacking.assert_exactly_once(*members)
    mesh = status(lacking)
    assert (mesh["shape"], mesh["hub"], mesh["missing_modules"]) == ("mesh", None, [MODULE])
    assert (mesh["healthy"], mesh["sync"]) == (True, {"changes": [], "errors": []})
    finding = shape(lacking)
    assert (finding["level"], finding["safe"]) == ("warning", False)
    assert MODULE in finding["message"]
    assert finding["fix"]
    assert lacking.sh("python3 -m canwharf sync").startswith("nothing to do")

    lacking.sh(f"echo /sbin/modprobe >/proc/sys/kernel/modprobe; umount {LISTS}")
    lacking.sh(f"modprobe {MODULE}")
    would = lacking.guest.run("python3 -m canwharf sync --dry-run", check=False).stdout.splitlines()
    assert would[0].startswith("would make hub ")
    done = lacking.sh("python3 -m canwharf sync").splitlines()
    assert [line.removeprefix("would ") for line in would[:-1]] == done[:-1]
    lacking.assert_exactly_once(*members)
    linear = status(lacking)
    assert (linear["shape"], linear["missing_modules"]) == ("linear", [])
    assert sorted(linear["hub"]) == ["in", "out"]
    assert (linear["healthy"], linear["sync"]) == (True, {"changes": [], "errors": []})
    assert shape(lacking)["level"] == "ok"


def test_the_kernel_loads_what_a_hub_needs(board: Board) -> None:
    """So a managed plugin, which can load no module, makes linear buses, too."""
    board.sh("rmmod act_skbedit act_gact cls_matchall cls_fw sch_ingress")
    board.network()
    board.container("ecu1")
    board.container("ecu2")
    board.assert_exactly_once("host:vcan0", board.member("ecu1"), board.member("ecu2"))
    assert status(board)["shape"] == "linear"
