"""`canlab --docker` as an ordinary user: real Docker, and buses between its containers."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canlab import system
from tests import REPOSITORY
from tests.canlab.caller import CANLAB, SOURCE, OnTerminal, wait_for_no_guests

NOBODY = 65534
PYTHON = "/usr/bin/python3"
LIMIT = 900.0  # seconds, for what takes 30 on an idle machine

Run = Callable[..., subprocess.CompletedProcess[str]]

CREATE = """
docker network create -d canwharf --ipam-driver null -o can.name=can bus0
docker run -d --restart always --network bus0 --name ecu1 can-utils sh -c 'candump -L can0'
docker run -d --restart always --network bus0 --name ecu2 can-utils sleep 100000
"""
TALK = """
listening() { docker exec ecu1 grep -q can0 /proc/net/can/rcvlist_all; }
until listening; do :; done
docker exec ecu2 cansend can0 123#C0FFEE
docker exec ecu2 cansend can0 321#
until docker logs ecu1 | grep 321#; do :; done
docker logs ecu1 | grep -c '123#C0FFEE'
"""


@pytest.fixture(scope="module")
def image() -> Path:
    """The system that Docker runs in; made if the cache does not have it, which takes minutes."""
    return system.find()


@pytest.fixture
def ordinary(image: Path, common: Path) -> Run:
    """Call canlab as a user without any right, in a folder of that user's."""
    folder = common / "a folder"
    folder.mkdir()
    become: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        become = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # By its descriptor, as the user may not look into the cache.
        with image.open("rb") as file:
            return subprocess.run(
                [PYTHON, "-m", "canlab", "--docker", *arguments],
                cwd=folder,
                env={
                    "PATH": "/usr/bin:/bin",
                    "PYTHONPATH": f"{SOURCE}:{REPOSITORY / 'src'}",
                    "HOME": "/nonexistent",
                    "CANLAB_KERNEL": os.environ["CANLAB_KERNEL"],
                    "CANLAB_DOCKER": f"/proc/self/fd/{file.fileno()}",
                    "DOCKER_HOST": "tcp://another-machine:2375",
                },
                pass_fds=(file.fileno(),),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT,
                check=False,
                **become,
            )

    return run


def test_containers_exchange_frames_and_come_back_on_the_same_disk(ordinary: Run) -> None:
    """Each frame once; what ends a run is for the containers as a power cut."""
    first = ordinary("--disk", "disk.img", "sh", "-euc", f"{CREATE}{TALK}exit 7")
    assert (first.returncode, first.stdout.split()[-1]) == (7, "1"), first
    again = ordinary("--disk", "disk.img", "sh", "-euc", TALK)
    assert (again.returncode, again.stdout.split()[-1]) == (0, "2"), again


def test_docker_and_canwharf_see_what_the_command_sees(ordinary: Run) -> None:
    """The command's folder, Docker's own bridge, Compose, a build; and the uid may be kept."""
    script = """
    id -u
    printf 'FROM can-utils\\nCOPY made /made\\n' >Dockerfile
    echo mine >made
    docker build -q -t built . >/dev/null
    docker run --rm built cat /made
    docker run --rm -v "$PWD:/w" built sh -c 'cat /w/made; echo back >/w/there'
    cat there
    printf 'services:\\n  one:\\n    image: built\\n    command: ip -4 -br addr\\n' >compose.yaml
    docker compose up --no-log-prefix 2>/dev/null | grep -o 'UP .*/16'
    canwharf status
    """
    done = ordinary("--user", "sh", "-euc", script)
    assert done.returncode == 0, done
    uid, *lines = done.stdout.splitlines()
    assert int(uid) == (NOBODY if os.geteuid() == 0 else os.geteuid())
    assert lines[:3] == ["mine", "mine", "back"]
    assert lines[3].startswith("UP ")
    assert lines[4].startswith("canwharf: the daemon runs")


def test_a_container_inside_has_the_callers_terminal(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size, what is typed, Ctrl-C; and the status of the program in the container."""
    monkeypatch.setenv("CANLAB_DOCKER", str(image))
    program = "trap 'echo caught; exit 5' INT; stty size; read a; echo \"<$a>\"; sleep 1000"
    on = OnTerminal("--docker", *["docker", "run", "--rm", "-it", "can-utils", "sh", "-c"], program)
    on.wait_for(b"33 77\r\n", LIMIT)
    on.type(b"abc\r")
    on.wait_for(b"abc\r\n<abc>\r\n")
    on.type(b"\x03")
    on.wait_for(b"caught\r\n")
    assert on.end() == 5


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process handles the signal, as proc_pid_status(5) says it."""
    (row,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("SigCgt:")
    )
    return bool(int(row.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("options", [(), ("--docker",)])
def test_a_signal_ends_it_before_the_command_starts(
    options: tuple[str, ...], image: Path, kernel: Path
) -> None:
    env = {**os.environ, "CANLAB_DOCKER": str(image)}
    with subprocess.Popen([*CANLAB, *options, "sleep", "1000"], env=env) as process:
        while not catches(process.pid, signal.SIGTERM):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 128 + signal.SIGTERM
    wait_for_no_guests(kernel)
