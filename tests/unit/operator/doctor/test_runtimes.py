"""The doctor, on machines with Podman and CNI runtimes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from canwharf.daemon.instance import usual
from canwharf.kernel import namespace
from canwharf.operator.doctor import gather
from canwharf.operator.doctor.facts import Executable
from canwharf.operator.doctor.finding import FAILURE, OK, WARN, Finding
from canwharf.operator.service import executables
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.runtime import Runtime
from tests.unit.operator.doctor.well import WELL, told
from tests.unit.operator.seen import seen

PODMAN = Executable("Podman", "/usr/local/libexec/netavark/canwharf")


def test_podman_alone_is_well() -> None:
    """A board without Docker lacks nothing."""
    without = WELL._replace(docker="", docker_there=False)
    assert [each.level for each in told("docker", without)] == [FAILURE]
    facts = without._replace(executables=(PODMAN,))
    [finding] = told("docker", facts)
    assert finding == Finding(OK, "Docker does not run; Podman can be used without it")
    found, rootless = told("runtimes", facts)
    assert (found.level, rootless.level) == (OK, OK)
    assert "'canwharf install --allow-group GROUP' allows it" in rootless.message


def test_a_rootless_podman() -> None:
    """Whose it may be, and that its socket does not listen."""
    facts = WELL._replace(executables=(PODMAN,), group="can", chosen="can")
    assert "a member of the group can" in told("runtimes", facts)[-1].message
    finding = told("runtimes", facts._replace(group=""))[-1]
    assert (finding.level, finding.fix) == (WARN, "canwharf install --allow-group can")


@pytest.mark.parametrize("state", ["missing", "old", "not executable", "well"])
def test_an_executable_that_a_runtime_does_not_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """As after an upgrade of canwharf alone, or where Podman came later."""
    monkeypatch.setattr(executables, "_PROGRAM", "no-podman")
    monkeypatch.setattr(executables, "_FOLDERS", (str(tmp_path),))
    path = tmp_path / "canwharf"
    if state != "missing":
        path.write_bytes(b"old" if state == "old" else executables.content())
        path.chmod(0o644 if state == "not executable" else 0o755)
    facts = WELL._replace(executables=gather._executables(usual("canwharf")))
    [finding] = told("runtimes", facts)
    if state == "well":
        assert finding == Finding(OK, f"{path} is there for CNI")
    else:
        why = "is missing" if state == "missing" else "is not of this version"
        what = f"CNI does not find the driver: {path} {why}"
        assert finding == Finding(WARN, what, "canwharf install")
        [finding] = told("runtimes", facts._replace(units=None))
        assert finding == Finding(WARN, what)


@pytest.mark.parametrize(
    ("version", "types", "words"),
    [
        ("1.1.0", ["ptp", "canwharf"], "has a CAN bus"),
        ("1.1.0", ["canwharf", "ptp"], "must stand behind the plugin with the pod's IP address"),
        ("1.0.0", ["ptp", "canwharf"], '"cniVersion": "1.1.0"'),
        ("1.0.0", ["ptp"], ""),
        ("1.1.0", None, ""),
    ],
)
def test_a_nodes_list(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    types: list[str] | None,
    words: str,
) -> None:
    """With CAN before the IP plugin, no pod starts."""
    monkeypatch.setattr(gather, "_LISTS", (str(tmp_path), "/no/such/folder"))
    plugins = None if types is None else [{"type": each} for each in types]
    (tmp_path / "10.conflist").write_text(json.dumps({"cniVersion": version, "plugins": plugins}))
    (tmp_path / "20.conflist").write_text("garbage")
    findings = told("runtimes", WELL._replace(lists=gather._lists("canwharf")))[1:]
    assert [words in each.message for each in findings] == ([True] if words else [])
    assert {each.level for each in findings} <= {OK if "has a" in words else WARN}


def test_docker_need_not_know_networks_of_others(busy: Daemon, kernel: FakeKernel) -> None:
    """Or `--forget` would be offered for one of Podman's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(namespace, "opened", kernel.opened)
        Runtime(busy).setup("web")
    assert gather._unknown_networks(seen(busy)) == {}
