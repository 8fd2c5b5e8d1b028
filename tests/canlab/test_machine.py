"""Where canlab runs, what it says where it does not, and that it leaves nothing behind."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.canlab.caller import CANLAB, LIMIT, SOURCE, run, wait_for_no_guests

# How often a run is killed, at a moment of chance.
KILLS = int(os.environ.get("CANLAB_KILLS", "12"))
NOBODY = 65534
PYTHON = "/usr/bin/python3"


@pytest.mark.parametrize("how", ["canlab", "keeper"])
def test_nothing_is_left_of_a_run_that_was_killed(how: str, kernel: Path, tmp_path: Path) -> None:
    """Whichever process is killed, in whatever moment: no process, no file."""
    chance = random.Random(KILLS)
    env = {**os.environ, "CANLAB_TMPDIR": str(tmp_path)}
    for _ in range(KILLS):
        with subprocess.Popen([*CANLAB, "sleep", "1000"], env=env) as process:
            time.sleep(chance.random())  # the moment is what is tested
            victim = process.pid
            if how == "keeper":
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                victim = int((children.split() or [str(process.pid)])[0])
            os.kill(victim, 9)
            try:
                process.wait(LIMIT)
            finally:
                process.kill()
        wait_for_no_guests(kernel)
        assert list(tmp_path.iterdir()) == []


def test_many_run_at_once(kernel: Path) -> None:
    many = [
        subprocess.Popen(
            [*CANLAB, "--memory", "128M", "sh", "-c", f"ip -br link show vcan0; exit {number}"],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        for number in range(8)
    ]
    for number, process in enumerate(many):
        out, _ = process.communicate(timeout=LIMIT)
        assert (process.returncode, out.split()[0]) == (number, b"vcan0")
    wait_for_no_guests(kernel)


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user")
def test_an_ordinary_user_without_a_home_runs_it(common: Path) -> None:
    """With the system's Python; what is written inside is the user's."""
    folder = common / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    kernel = os.environ["CANLAB_KERNEL"]
    done = subprocess.run(
        [PYTHON, "-m", "canlab", "sh", "-c", "id -u; ip -br link show vcan0; echo x >made; pwd"],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin:/sbin",
            "PYTHONPATH": str(SOURCE),
            "HOME": "/nonexistent",
            "CANLAB_KERNEL": kernel,
        },
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == b"0"
    assert (folder / "made").stat().st_uid == NOBODY


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes another user")
def test_a_caller_keeps_the_uid_with_user() -> None:
    """With the right to make interfaces."""
    done = subprocess.run(
        [
            PYTHON,
            "-m",
            "canlab",
            "--user",
            "sh",
            "-c",
            "id -u; id -g; ip link add v9 type vcan && echo made; echo again >/dev/stdout",
        ],
        cwd="/",
        env={
            "PATH": "/usr/bin:/bin:/sbin",
            "PYTHONPATH": str(SOURCE),
            "CANLAB_KERNEL": os.environ["CANLAB_KERNEL"],
        },
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"65534\n65534\nmade\nagain\n", b"")


def test_a_kernel_that_is_none_is_said(tmp_path: Path) -> None:
    false = tmp_path / "linux"
    false.write_bytes(b"\x7fELF of another machine")
    false.chmod(0o755)
    done = run("true", env={"CANLAB_KERNEL": str(false)})
    assert done.returncode == 123
    assert b"this machine cannot run the kernel" in done.stderr


def test_a_missing_folder_for_the_memory_is_said(tmp_path: Path) -> None:
    """By its name."""
    missing = tmp_path / "missing"
    done = run("true", env={"CANLAB_TMPDIR": str(missing)})
    assert done.returncode == 123
    assert f"{missing}: No such file or directory".encode() in done.stderr


def test_a_folder_that_cannot_hold_the_memory_is_said() -> None:
    done = run("true", env={"CANLAB_TMPDIR": "/proc"})
    assert done.returncode == 123
    assert b"CANLAB_TMPDIR names one that is writable" in done.stderr


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """A shell can stand in one that was deleted."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *CANLAB, "true"],
        cwd=tmp_path,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 125
    assert done.stderr == b"canlab: the current folder is gone: change to one that is there\n"
