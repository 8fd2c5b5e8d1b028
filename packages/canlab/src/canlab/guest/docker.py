"""Docker in the guest, with canwharf beside it, started before the command.

Docker and canwharf run in a mount namespace of their own, whose root is the system on the first
disk, with a layer above it that is lost. What they share with the command:

- /run/docker and the like, with all that is mounted there, so network namespaces have the same
  names for both; and Docker's socket.
- The folders of this machine's root that are no part of a system (_SYSTEMS are), and the command's
  folder: `docker run -v "$PWD:/w"` finds what the command sees.

The command has `docker` in its PATH: a script that runs the system's client with the system's C
library, on the command's files.

Rule: nothing is stopped at the end. What is on the disk is as after a power cut, which Docker,
canwharf and ext4 survive.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time

from canlab import libc
from canlab.start import Start

SYSTEM = "CANLAB_DOCKER"  # names the file with the system, in the caller's environment
PLACE = "/run/canlab"
BIN = f"{PLACE}/bin"
SOCKET = "/run/docker.sock"
EXT4 = (1024 + 56, b"\x53\xef")  # where its signature is: ext4_super_block.s_magic
LIMIT = 300.0  # seconds until a daemon that does not say that it serves is given up

_SYSTEM = f"{PLACE}/system"
_SYSTEM_DISK, _KEPT_DISK = "/dev/ubda", "/dev/ubdb"
# In /run: what both sides see as it is.
_SHARED = ("docker", "containerd", "canwharf")
# In the mount namespace of Docker: a folder that is there in each guest, for the new root.
_STAGE = "/dev/shm"  # noqa: S108
_ROOT = f"{_STAGE}/root"
_KEPT = f"{PLACE}/kept"
_SYSTEMS = frozenset(
    (
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found"),
        *("proc", "run", "sbin", "sys", "usr", "var"),
    )
)
_CANWHARF = "/usr/lib/python3/dist-packages/canwharf"
_IMAGE = "/usr/share/canlab/can-utils.tar"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OPEN_FILES = (1024, 1 << 19)  # as systemd gives them to a service
_TAIL = 2000  # bytes of a log
_UP = b"up"  # what the setup says at its end, if nothing is wrong

_CLIENT = """\
#!/bin/sh
lib={system}/usr/lib/x86_64-linux-gnu
{first}exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib" {system}{program} "$@"
"""
_COMPOSE = "/usr/libexec/docker/cli-plugins/docker-compose"


class Failed(Exception):  # noqa: N818 - it says what happened
    """A daemon did not come up, or what it needs could not be made."""


class Setup:
    """Docker on its way up, in a process of its own: `pid`. When that has ended, `error` says."""

    def __init__(self, start: Start) -> None:
        _share()
        _write_clients(start)
        self._told, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _set_up(start, tell)
        os.close(tell)

    def error(self) -> str:
        """Why Docker is not up; empty if it is."""
        with os.fdopen(self._told, "rb") as words:
            said = words.read()
        return "" if said == _UP else said.decode(errors="replace") or "Docker's setup was killed"


def _share() -> None:
    """Mount what both sides see. Raises OSError."""
    for name in ("docker.sock", "docker.pid"):  # of this machine's own Docker
        if os.path.lexists(f"/run/{name}"):
            os.unlink(f"/run/{name}")
    for name in _SHARED:
        os.makedirs(f"/run/{name}", exist_ok=True)
        libc.mount("tmpfs", f"/run/{name}", "tmpfs", "mode=755")
        libc.mount("", f"/run/{name}", "", flags=libc.MS_SHARED)
    os.makedirs(_SYSTEM)
    libc.mount(_SYSTEM_DISK, _SYSTEM, "ext4", flags=libc.MS_RDONLY)


def _write_clients(start: Start) -> None:
    # The client looks for its plugins among the command's files.
    compose = f'[ "${{1-}}" = compose ] && shift && exec {BIN}/docker-compose "$@"\n'
    texts = {
        "docker": _client("/usr/bin/docker", compose),
        "docker-compose": _client(_COMPOSE),
        "canwharf": f'#!/bin/sh\nexec "{start.python}" -IB "{start.canwharf}/__main__.py" "$@"\n',
    }
    os.mkdir(BIN)
    for name, text in texts.items():
        with open(f"{BIN}/{name}", "w") as file:
            file.write(text)
        os.chmod(f"{BIN}/{name}", 0o755)  # noqa: S103


def _client(program: str, first: str = "") -> str:
    return _CLIENT.format(system=_SYSTEM, program=program, first=first)


def _set_up(start: Start, tell: int) -> None:
    """All of it, in the process that ends when Docker serves."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_NOFILE, _OPEN_FILES)
        _enter(start)
        _mount_kept()
        serve = ("/usr/bin/python3", "-IBS", f"{_CANWHARF}/__main__.py", "serve")
        _start("canwharf", serve)
        _start("dockerd", ("/usr/sbin/dockerd", "--exec-opt=native.cgroupdriver=cgroupfs"))
        # With --user, too: it is root over nothing but the guest.
        os.chmod(SOCKET, 0o666)  # noqa: S103
        if not _has_images():
            _run("/usr/bin/docker", "import", "--change", 'CMD ["sh"]', _IMAGE, "can-utils")
        os.write(tell, _UP)
    except (OSError, Failed) as error:
        words = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        os.write(tell, words.encode(errors="replace"))
    finally:
        os._exit(0)


def _enter(start: Start) -> None:
    """Leave for the system's root, with all that Docker needs mounted. Raises OSError."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.mount("tmpfs", _STAGE, "tmpfs", "mode=755")
    for name in ("root", "upper", "work"):
        os.mkdir(f"{_STAGE}/{name}")
    layers = f"lowerdir={_SYSTEM},upperdir={_STAGE}/upper,workdir={_STAGE}/work"
    libc.mount("overlay", _ROOT, "overlay", layers)
    for type, folder in (
        *(("proc", "proc"), ("sysfs", "sys"), ("cgroup2", "sys/fs/cgroup")),
        *(("devtmpfs", "dev"), ("tmpfs", "dev/shm"), ("mqueue", "dev/mqueue")),
    ):
        libc.mount(type, f"{_ROOT}/{folder}", type)
    for path in ("/dev/pts", "/run", *_folders(start.folder)):
        os.makedirs(f"{_ROOT}{path}", exist_ok=True)
        libc.mount(path, f"{_ROOT}{path}", "", flags=libc.MS_BIND | libc.MS_REC)
    libc.mount(start.canwharf, f"{_ROOT}{_CANWHARF}", "", flags=libc.MS_BIND)
    # Over the old root, or `docker exec`, which enters a namespace, would be there.
    os.chdir(_ROOT)
    libc.mount(_ROOT, "/", "", flags=libc.MS_MOVE)
    os.chroot(".")


def _mount_kept() -> None:
    """Mount what Docker and canwharf keep; a blank disk gets a file system first."""
    if not _formatted():
        # A new file is all zeros, so nothing of it has to be written as such.
        zeros = "nodiscard,assume_storage_prezeroed=1"
        _run("/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-E", zeros, _KEPT_DISK)
    os.mkdir(_KEPT)
    libc.mount(_KEPT_DISK, _KEPT, "ext4")
    for name in ("docker", "canwharf"):
        os.makedirs(f"{_KEPT}/{name}", exist_ok=True)
        libc.mount(f"{_KEPT}/{name}", f"/var/lib/{name}", "", flags=libc.MS_BIND)


def _folders(command: str) -> list[str]:
    """Folders of this machine that are the same for Docker's containers."""
    folders = [
        entry.path
        for entry in os.scandir("/")
        if entry.name not in _SYSTEMS and entry.is_dir(follow_symlinks=False)
    ]
    # As /usr/src/app in many images, or /var/lib/jenkins/workspace/….
    if command.startswith(("/usr/", "/var/")) and not os.path.exists(f"{_ROOT}{command}"):
        folders.append(command)
    return folders


def _formatted() -> bool:
    offset, magic = EXT4
    with open(_KEPT_DISK, "rb") as disk:
        disk.seek(offset)
        return disk.read(len(magic)) == magic


def _has_images() -> bool:
    """Whether Docker was on this disk before: it keeps what its images are called."""
    return os.path.getsize("/var/lib/docker/image/overlay2/repositories.json") > len(
        b'{"Repositories":{}}'
    )


def _start(name: str, command: tuple[str, ...]) -> None:
    """Start a daemon; returns when it serves, as sd_notify(3) says it. Raises Failed."""
    address, log = f"{PLACE}/{name}.ready", f"{PLACE}/{name}.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(address)
        pid = _spawn(command, log, {"NOTIFY_SOCKET": address})
        ended = os.pidfd_open(pid)
        deadline = time.monotonic() + LIMIT
        why = f"{name} was not ready after {LIMIT:.0f} s"
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([notices.fileno(), ended], [], [], left)
            if ended in ready:
                _, status = os.waitpid(pid, 0)
                why = f"{name} ended with status {os.waitstatus_to_exitcode(status)}"
                break
            if ready and b"READY=1" in notices.recv(4096):
                os.unlink(address)
                os.close(ended)
                return
    raise Failed(f"{why}:\n{_tail(log)}")


def _run(*command: str) -> None:
    """Run a program to its end. Raises Failed with what it said."""
    log = f"{PLACE}/setup.log"
    _, status = os.waitpid(_spawn(command, log, {}), 0)
    if status:
        raise Failed(f"{command[0]} failed:\n{_tail(log)}")


def _spawn(command: tuple[str, ...], log: str, more: dict[str, str]) -> int:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        return os.posix_spawn(
            command[0],
            command,
            {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", **more},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, nothing, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(output)
        os.close(nothing)


def _tail(log: str) -> str:
    with open(log, errors="replace") as file:
        return file.read()[-_TAIL:].rstrip()
