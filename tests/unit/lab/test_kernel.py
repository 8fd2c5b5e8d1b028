"""The lab's own kernel: what its recipe says, and how its build is told."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from canwharf.kernel.needed import LINEAR, NEEDED
from lab.errors import LabError
from lab.kernel import FRAGMENT, STEPS
from lab.root import follow
from tests import REPOSITORY

LINES = [line for line in FRAGMENT.read_text().splitlines() if line and not line.startswith("# ")]


def test_each_line_of_the_configuration_has_a_reason() -> None:
    for line in LINES:
        assert re.fullmatch(r'CONFIG_[A-Z0-9_]+=(y|n|\d+|"\S+") +# \S.*', line), line
    names = [line.partition("=")[0] for line in LINES]
    assert len(names) == len({*names})


def test_the_steps_read_each_line_without_its_reason(tmp_path: Path) -> None:
    """Kconfig would take the reason for a part of the value."""
    command = next(line for line in STEPS.read_text().splitlines() if line.startswith("sed "))
    script = command.replace('"$fragment"', str(FRAGMENT))
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    read = (tmp_path / "fragment").read_text().splitlines()
    assert read == [line.partition("#")[0].strip() for line in LINES]


def test_all_that_a_bus_needs_is_built_in() -> None:
    for option in (*NEEDED.values(), *LINEAR.values()):
        assert any(line.startswith(f"{option}=y ") for line in LINES), option


def test_a_program_that_fails_is_told_with_its_last_lines() -> None:
    told: list[str] = []
    with pytest.raises(LabError, match=r"the build failed:\nline 2\n(.*\n)*line 31") as caught:
        follow(
            ["sh", "-c", "for n in $(seq 31); do echo line $n; done; exit 3"],
            "the build failed",
            told.append,
        )
    assert len(told) == 31
    assert "line 1\n" not in str(caught.value)


def test_a_program_ends_with_whoever_waits_for_it() -> None:
    """Ctrl-C would leave a build running, which the cache's clean-up then fights with."""
    code = """
import os, signal
from lab.root import follow
def tell(line):
    print(line, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
follow(["sh", "-c", "trap '' INT; echo $$; exec sleep 600"], "failed", tell)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGINT, done.stderr
    assert not Path("/proc", done.stdout.strip()).exists()
