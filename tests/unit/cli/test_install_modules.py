"""The modules that `canwharf install` loads: a kernel without those of a hub is good enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.cli import main
from canwharf.kernel import modules as kernel_modules
from canwharf.kernel.needed import LINEAR, LOADABLE, MISSING, NEEDED
from canwharf.operator.service import modules
from tests.unit.cli.machine import System

HUB = ["sch_ingress", "cls_fw", "cls_matchall", "act_gact", "act_skbedit"]


def listed() -> list[str]:
    """What is loaded at each boot."""
    lines = Path(modules.FILE).read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def tried(system: System) -> list[str]:
    """What modprobe was called with."""
    return [line.removeprefix("modprobe ") for line in system.ran if line.startswith("modprobe")]


def test_all_are_loaded_now_and_at_each_boot(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install"]) == 0
    assert tried(system) == listed() == [*NEEDED, *HUB]
    said = capsys.readouterr().out
    assert f"loaded the kernel modules {', '.join([*NEEDED, *HUB])}\n" in said


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (["cls_matchall"], ["sch_ingress", "cls_fw", "cls_basic", "act_gact", "act_skbedit"]),
        (["cls_fw"], ["sch_ingress", "cls_matchall", "act_gact", "act_skbedit"]),
        (list(LINEAR), []),
    ],
)
def test_none_is_listed_that_the_kernel_lacks(
    system: System, monkeypatch: pytest.MonkeyPatch, missing: list[str], expected: list[str]
) -> None:
    """At each boot systemd-modules-load would fail, and the machine be called degraded."""
    states = dict.fromkeys((*NEEDED, *LINEAR), LOADABLE) | dict.fromkeys(missing, MISSING)
    monkeypatch.setattr(kernel_modules, "states", lambda: states)
    assert main(["install"]) == 0
    assert tried(system) == listed() == [*NEEDED, *expected]


def test_one_for_a_hub_that_is_refused_is_told_and_no_error(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container has its bus all the same."""
    monkeypatch.setattr(kernel_modules, "works", lambda _module, _netlink: False)
    system.broken = "modprobe act_gact"
    assert main(["install"]) == 0
    said = capsys.readouterr().out
    assert "containers will be connected without a hub: modprobe act_gact failed" in said
    loaded = [each for each in [*NEEDED, *HUB] if each != "act_gact"]
    assert f"loaded the kernel modules {', '.join(loaded)}\n" in said
    assert listed() == loaded
