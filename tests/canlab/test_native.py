"""The machine's own kernel, where it has CAN: here that of a guest, in which canlab runs again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.canlab.caller import SOURCE, run

INNER = (sys.executable, "-m", "canlab", "--native", "always")
CAN_HERE = subprocess.run(
    ["unshare", "--net", "ip", "link", "add", "v", "type", "vcan"], check=False, capture_output=True
)


def test_root_gets_a_network_of_its_own() -> None:
    """Other interfaces than outside; streams and status are the command's own."""
    script = "ls /proc/sys/net/ipv4/conf; cat; echo err >&2; exit 9"
    done = run(*INNER, "-i", "v1,a=vxcan:b", "sh", "-c", script, input=b"in")
    assert done.returncode == 9
    assert done.stdout.split() == [b"a", b"all", b"b", b"default", b"lo", b"v1", b"in"]
    assert done.stderr == b"err\n"


def test_an_ordinary_user_needs_a_user_namespace_only(tmp_path: Path) -> None:
    """As root inside, or with --user as the same user."""
    shutil.copytree(SOURCE / "canlab", tmp_path / "canlab")
    inner = (
        "cp -r . /dev/shm; cd /; export PYTHONPATH=/dev/shm; "
        "as='setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/python3 -m canlab'; "
        "$as --native always id -u; "
        "$as --native always --user sh -c 'ip link add v9 type vcan && id -u'"
    )
    done = run("sh", "-c", inner, cwd=tmp_path)
    assert (done.stdout, done.stderr) == (b"0\n1000\n", b"")


def test_auto_takes_the_guests_kernel_where_the_machine_has_no_can() -> None:
    """And always says why it cannot."""
    can = os.geteuid() == 0 and CAN_HERE.returncode == 0
    done = run("--native", "auto", "cat", "/proc/sys/kernel/osrelease")
    assert (done.stdout.decode().strip() == os.uname().release) == can
    done = run("--native", "always", "true")
    assert done.returncode == (0 if can else 123)
    assert can or b"this machine's own kernel does not do it: " in done.stderr


def test_controllers_are_never_native() -> None:
    done = run("--native", "always", "-i", "can0=slcan", "true")
    assert done.returncode == 123
    assert b"slcan makes its interfaces in the machine's own network only" in done.stderr
