"""Users of a board without root, who have a rootless Podman."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.channel import Completed
from tests.world.engines import Engines

GROUP = "can"
SOCKET = "/var/lib/canwharf.rootless/canwharf.sock"
_PLUGIN = "/usr/local/libexec/netavark/canwharf"


@contextmanager
def allowed(board: Engines) -> Iterator[None]:
    """The board with a daemon that lets the group in, and after that one that does not."""
    board.sh(f"getent group {GROUP} || groupadd --system {GROUP}")
    # pasta, which gives a rootless Podman's networks their way out
    board.sh("modprobe tun && chmod 666 /dev/net/tun && mount --make-rshared /")
    board.end_daemon("TERM")
    board.start_daemon("--allow-group", GROUP)
    yield
    board.end_daemon("TERM")
    board.start_daemon()


@dataclass
class User:
    """One of them; in the group, or not."""

    board: Engines
    name: str
    member: bool = True
    uid: int = field(init=False)

    def __post_init__(self) -> None:
        groups = f"-G {GROUP}" if self.member else ""
        self.board.sh(f"useradd --create-home {groups} {self.name}")
        self.uid = int(self.board.sh(f"id -u {self.name}"))
        own = f"/run/user/{self.uid} {self._storage}"
        self.board.sh(f"mkdir -p {own} && mount -t tmpfs none {self._storage}")
        self.board.sh(f"chown -R {self.uid}:{self.uid} {own} /home/{self.name}")
        self.board.sh("test -e /root/ecu.tar || docker save ecu >/root/ecu.tar", timeout=120)
        self.run("podman load", "</root/ecu.tar")

    @property
    def _storage(self) -> str:
        return f"/home/{self.name}/.local/share/containers"

    def run(self, command: str, more: str = "", *, check: bool = True) -> Completed:
        """Run a shell command as this user; `more` is done by root's shell."""
        home = f"HOME=/home/{self.name} XDG_RUNTIME_DIR=/run/user/{self.uid}"
        as_user = f"setpriv --reuid {self.uid} --regid {self.uid} --init-groups env {home}"
        words = f"cd /home/{self.name} && {as_user} sh -c {shlex.quote(command)} {more}"
        return self.board.guest.run(words, check=check, timeout=120)

    def refused(self, command: str) -> str:
        """The error of a command that must fail."""
        done = self.run(command, check=False)
        assert done.status != 0, f"went through: {command}"
        return (done.stderr or done.stdout).strip()

    def podman(self, name: str, network: str = "drive") -> str:
        """Start a container that sleeps; its interface in the words of tests.world.frames."""
        self.run(f"podman run -d --name {name} --network {network} ecu sleep 100000")
        pid = self.run(f"podman inspect -f '{{{{.State.Pid}}}}' {name}").stdout.strip()
        return f"{pid}:can0"

    def plugin(self, words: str, container: str = "", name: str = "c") -> Completed:
        """Start the executable in a user namespace, as a rootless Podman does.

        With this container's id and its name, on a bus; else without a content.
        """
        content = {
            "container_id": container,
            "container_name": name,
            "network": {"name": "drive", "options": {"can.interface": "vcan0"}},
            "network_options": {"interface_name": "can7", "options": {}},
        }
        sent = json.dumps(content if container else {})
        return self.run(
            f"printf %s {shlex.quote(sent)} | unshare --user --map-root-user {_PLUGIN} {words}",
            check=False,
        )

    def ask(self, call: str) -> str:
        """The beginning of the answer to another call, on the socket for users without root."""
        request = f"POST /{call} HTTP/1.0\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}"
        program = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{SOCKET}'); "
        program += f"s.sendall(b'{request}'); print(s.recv(99))"
        return self.run(f'python3 -c "{program}"').stdout

    def clean(self) -> None:
        """Remove all of the user's containers and networks."""
        self.run("podman rm -fat 0; podman network prune -f")
