"""The system that Docker runs in: Debian's packages in a file with an ext4 file system.

It is made once, by mmdebstrap (`system.sh`), and then only read. An ordinary user makes it as root
of a user namespace, with the user's range in /etc/subuid, so no right on the machine is needed.

Rules: the file is named by its recipe, is written under another name and renamed when it is
complete. One process makes it, others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from canlab.errors import CanlabError
from canlab.guest.docker import SYSTEM

SUITE = "trixie"
PACKAGES = (
    *("busybox-static", "can-utils", "ca-certificates", "docker-cli", "docker-compose"),
    *("docker.io", "e2fsprogs", "iproute2", "iptables", "python3"),
)
HERE = Path(__file__).resolve().parent
STEPS, CAN_UTILS = HERE / "system.sh", HERE / "can-utils.sh"
# What shows that a tool is there -> the package that brings it (the same in Debian and Ubuntu).
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "newuidmap": "uidmap",
    "mkfs.ext4": "e2fsprogs",
    "unshare": "util-linux",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
PATH = f"/usr/sbin:/sbin:{os.environ.get('PATH', '/usr/bin:/bin')}"
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
AS_ROOT = ("--user", "--map-root-user", "--map-auto")

Report = Callable[[str], None]


def say(text: str) -> None:
    """A line about what takes long, on standard error."""
    os.write(sys.stderr.fileno(), f"canlab: {text}\n".encode())


def find(report: Report = say) -> Path:
    """The file: what CANLAB_DOCKER names, else the one in the cache, which is made if missing.

    Raises CanlabError where it is not there and cannot be made.
    """
    if named := os.environ.get(SYSTEM):
        if not os.path.isfile(named):
            raise CanlabError(f"{SYSTEM} names {named}, which is not a file")
        return Path(named)
    done = _folder() / _name()
    if not done.exists():
        with done.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report("waiting for another process that makes the system that Docker runs in")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                _make(done, report)
    return done


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(cache, "canlab")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CanlabError(
            f"no folder for the system that Docker runs in: {error}; XDG_CACHE_HOME names one"
        ) from error
    return folder


def _name() -> str:
    recipe = hashlib.sha256(repr((SUITE, PACKAGES)).encode())
    for script in (STEPS, CAN_UTILS):
        recipe.update(script.read_bytes())
    return f"docker-{SUITE}-{recipe.hexdigest()[:12]}.img"


def missing() -> list[str]:
    """The packages that the machine lacks for it."""
    return [package for tool, package in TOOLS.items() if not _there(tool)]


def _there(tool: str) -> bool:
    return os.path.exists(tool) if tool.startswith("/") else bool(shutil.which(tool, path=PATH))


def _make(done: Path, report: Report) -> None:
    if lacking := missing():
        raise CanlabError(
            "--docker needs a system that Docker runs in, and this machine lacks what makes it: "
            f"apt-get install {' '.join(lacking)}, or name such a file by {SYSTEM}"
        )
    report(f"making the system that Docker runs in, once; it takes minutes and is kept in {done}")
    part = done.with_suffix(".part")
    _discard(part)
    try:
        command = ["sh", str(STEPS), str(part), SUITE, ",".join(PACKAGES), str(CAN_UTILS)]
        _follow(_as_root(command), report)
        part.rename(done)
    finally:
        _discard(part)
    report("the system is ready")


def _as_root(command: Sequence[str]) -> list[str]:
    namespaces = [*NAMESPACES, *(AS_ROOT if os.geteuid() else ())]
    return [*namespaces, "--", *command]


def _discard(part: Path) -> None:
    """Delete what is unfinished; its folder belongs to other uids of the caller's range."""
    part.unlink(missing_ok=True)
    folder = f"{part}.d"
    if os.path.exists(folder):
        subprocess.run(
            _as_root(["rm", "-rf", folder]), env={**os.environ, "PATH": PATH}, check=False
        )


def _follow(command: Sequence[str], report: Report) -> None:
    """Run it and report its stages. Raises CanlabError with its last lines."""
    said: deque[str] = deque(maxlen=15)
    with subprocess.Popen(
        command,
        env={**os.environ, "PATH": PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                said.append(line)
                if line.startswith("I: ") and "hook" not in line:
                    report(f"{SUITE}: {line[3:].strip()}")
        except BaseException:  # Ctrl-C does not reach the first process of a pid namespace
            child.kill()
            raise
    if child.returncode:
        raise CanlabError(
            f"the system that Docker runs in could not be made:\n{''.join(said).rstrip()}\n"
            "An ordinary user needs a range in /etc/subuid and /etc/subgid, and a machine that "
            f"allows user namespaces. {SYSTEM} names a file that was made elsewhere."
        )
