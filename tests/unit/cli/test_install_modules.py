"""The modules that `canwharf install` loads: a kernel without those of a hub is good enough.

So is one without those of the firewall; those for trouble on purpose are not loaded at a boot.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.cli import main
from canwharf.kernel import modules as kernel_modules
from canwharf.kernel.needed import CONFIGURED, LINEAR, LOADABLE, MISSING, NEEDED, POLICIES
from canwharf.operator.service import modules
from tests.unit.cli.machine import System

FIREWALL = list(POLICIES)
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
    assert tried(system) == listed() == [*NEEDED, *HUB, *FIREWALL]
    said = capsys.readouterr().out
    assert f"loaded the kernel modules {', '.join([*NEEDED, *HUB, *FIREWALL])}\n" in said


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (
            ["cls_matchall"],
            ["sch_ingress", "cls_fw", "cls_basic", "act_gact", "act_skbedit", *FIREWALL[1:]],
        ),
        (["cls_fw"], ["sch_ingress", "cls_matchall", "act_gact", "act_skbedit", *FIREWALL]),
        (["em_canid", "act_police"], [*HUB, "cls_basic", "em_u32"]),
        ([*LINEAR, *POLICIES], []),
    ],
)
def test_none_is_listed_that_the_kernel_lacks(
    system: System, monkeypatch: pytest.MonkeyPatch, missing: list[str], expected: list[str]
) -> None:
    """At each boot systemd-modules-load would fail, and the machine be called degraded."""
    states = dict.fromkeys(CONFIGURED, LOADABLE) | dict.fromkeys(missing, MISSING)
    monkeypatch.setattr(kernel_modules, "states", lambda: states)
    assert main(["install"]) == 0
    assert tried(system) == listed() == [*NEEDED, *expected]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("act_gact", "containers will be connected without a hub"),
        ("em_u32", "a container with can.send, can.receive or can.rate may not start"),
    ],
)
def test_one_that_is_refused_is_told_and_no_error(
    system: System,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
    words: str,
) -> None:
    """A container has its bus all the same."""
    monkeypatch.setattr(kernel_modules, "works", lambda _module, _netlink: False)
    system.broken = f"modprobe {module}"
    assert main(["install"]) == 0
    said = capsys.readouterr().out
    assert f"{words}: modprobe {module} failed" in said
    loaded = [each for each in [*NEEDED, *HUB, *FIREWALL] if each != module]
    assert f"loaded the kernel modules {', '.join(loaded)}\n" in said
    assert listed() == loaded
