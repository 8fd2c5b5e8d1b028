"""canlab on the suite's userland: its Python, C library, modprobe, programs; an ordinary user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.root import ensure_root
from lab.suites import DEFAULT_SUITE, suite_named
from tests.canlab.caller import LIMIT, SOURCE

# A machine as a container is: few devices, a small /dev/shm, no capability, none to be had.
ENTER = """
r=$1 source=$2 kernel=$3 shm=$4
mount --bind "$source" "$r/mnt"
mount -t proc proc "$r/proc"
mount -t tmpfs tmpfs "$r/tmp"
mkdir -m 1777 "$r/tmp/a b"
cp -r "${kernel%/*}/." "$r/tmp"
mount -t tmpfs tmpfs "$r/dev"
for node in null zero random urandom tty full; do
    : >"$r/dev/$node"
    mount --bind "/dev/$node" "$r/dev/$node"
done
mkdir "$r/dev/shm"
mount -t tmpfs -o "mode=1777,$shm" tmpfs "$r/dev/shm"
exec chroot "$r" setpriv --reuid 1234 --regid 1234 --clear-groups --no-new-privs \\
    --bounding-set=-all env -i PATH=/usr/bin:/bin:/usr/sbin PYTHONPATH=/mnt HOME=/root \\
    CANLAB_KERNEL=/tmp/linux \\
    sh -c 'cd "/tmp/a b" && python3 -m canlab sh -c "pwd; ls /sys/class/net; modprobe vcan"'
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="it mounts, and becomes another user")
@pytest.mark.parametrize("shm", ["size=4G", "noexec", "size=8m"])
def test_an_ordinary_user_runs_it_whatever_dev_shm_is(shm: str, kernel: Path) -> None:
    root = ensure_root(suite_named(os.environ.get("CANWHARF_SUITE", DEFAULT_SUITE)))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", ENTER, "sh", root, SOURCE, kernel, shm],
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"/tmp/a b\nlo\nvcan0\n", b"")
