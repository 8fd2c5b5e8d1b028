"""The pytest plugin, and what is in packaging/ci: as projects of users have them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import REPOSITORY
from tests.canlab.caller import LIMIT, SOURCE, run

TESTS = """
import os, socket, struct

def test_frames(can_interface):
    a, b = (socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) for _ in "ab")
    a.bind((can_interface,)); b.bind((can_interface,)); b.settimeout(20)
    a.send(struct.pack("=IB3x8s", 0x123, 1, b"x"))
    assert b.recv(16)[8:9] == b"x"
    assert can_interface != "vcan0"

def test_it_is_gone(can_interface):
    assert os.listdir("/sys/class/net").count(can_interface) == 1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with tests."""
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def _pytest(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "canlab.pytest_plugin", "-q", *options],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_a_session_runs_inside(project: Path) -> None:
    done = _pytest(project, "--can-kernel")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_failure_inside_is_one_outside(project: Path) -> None:
    """Options and paths are those of the caller."""
    (project / "test_it.py").write_text("def test_a(): assert 0\ndef test_b(): pass\n")
    done = _pytest(project, "--can-kernel", "-k", "test_a", "test_it.py")
    assert done.returncode == 1
    assert "1 failed, 1 deselected" in done.stdout


def test_a_projects_settings_are_enough(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\ncan_kernel = true\ncan_interfaces = a,b\n")
    (project / "test_it.py").write_text(
        "import os\ndef test_a(): assert {'a', 'b'} <= {*os.listdir('/sys/class/net')}\n"
    )
    done = _pytest(project)
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_can_the_fixture_says_what_to_do(project: Path) -> None:
    """Inside, with no right to make an interface, and no vcan0."""
    drop = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
    program = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--can-kernel")
    done = run("-i", "", *drop, *program, cwd=project)
    assert done.returncode == 1
    assert b"there is no CAN interface, and none can be made" in done.stdout
    assert b"run pytest with --can-kernel" in done.stdout


def test_the_github_action_runs_commands_inside() -> None:
    """Its last step, by the shell that GitHub takes."""
    action = (REPOSITORY / "packaging/ci/action.yml").read_text()
    step = re.findall(r"      run: (.*)", action)[-1]
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "INTERFACES": "vcan7",
        "COMMANDS": "ls /sys/class/net\nfalse\necho not reached",
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step],
        env=env,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"lo\nvcan7\n"), done.stderr


@pytest.mark.parametrize(
    ("file", "line", "variable"),
    [
        ("action.yml", r"      run: (python3 .*)", "PACKAGES"),
        ("gitlab.yml", r"    - (python3 .*)", "CANLAB_PACKAGES"),
    ],
)
def test_what_is_installed_are_the_packages(
    file: str, line: str, variable: str, tmp_path: Path
) -> None:
    """The two by their names, or the wheels that a project names; each is a word of its own."""
    text = (REPOSITORY / "packaging/ci" / file).read_text()
    assert text.count("canlab canwharf-kernel\n") == 1
    (step,) = re.findall(line, text)
    (tmp_path / "python3").write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", variable: "./a.whl ./b.whl"}
    done = subprocess.run(
        ["bash", "-ec", step], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "<-m><pip><install><--quiet><./a.whl><./b.whl>"
