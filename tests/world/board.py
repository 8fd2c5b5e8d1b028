"""A guest as a user has it: a board with Docker and canwharf, and words for what is done with it.

Rule: what a test asserts is what the kernel, Docker or real frames say in the guest; nothing
here knows how canwharf works, only what it promises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from canwharf.bus import naming
from lab.channel import Completed, Process
from lab.docker import Docker
from lab.guest import Guest

SOCKET = "/run/docker/plugins/canwharf.sock"
UP = 30.0  # seconds that a start may take in a guest


@dataclass
class Board:
    """Docker and canwharf in a guest. `start` them in the order of a machine's boot."""

    guest: Guest
    docker: Docker = field(init=False)
    daemon: Process = field(init=False, repr=False)
    driver: ClassVar[str] = "canwharf"  # as Docker knows it

    def __post_init__(self) -> None:
        self.docker = Docker(self.guest)

    def start(self) -> None:
        """The driver first, then Docker: see docs/reliability.md."""
        self.start_daemon()
        self.docker.start()

    def start_daemon(self, *options: str) -> None:
        """Start canwharf; returns when it serves."""
        self.daemon = self.guest.start(["python3", "-m", "canwharf", "serve", *options])
        self.daemon.wait_for("serving", UP)

    def end_daemon(self, signal: str) -> Completed:
        """Send the daemon a signal; what it said until it ended."""
        self.guest.run(f"pkill -{signal} -f '[c]anwharf serve'")  # not this shell itself
        return self.daemon.wait(10, check=False)

    def reboot_after_power_cut(self) -> None:
        """Cut the power, boot from the same disk, start what a board starts.

        Docker does not fsync that a container runs, and would not start one whose last seconds
        were lost; the sync stands for the half minute after which the kernel has written it.
        """
        self.guest.run("sync")
        self.guest.power_cut()
        self.guest.boot()
        self.start()

    def sh(self, command: str, check: bool = True, timeout: float = 120.0) -> str:
        """A command's output."""
        return self.guest.run(command, check=check, timeout=timeout).stdout.strip()

    def refused(self, command: str) -> str:
        """The error of a command that must fail."""
        done = self.guest.run(command, check=False)
        assert done.status != 0, f"went through: {command}"
        return done.stderr.strip()

    @property
    def puts_in_place(self) -> bool:
        """Whether this Docker makes a container's namespace before it asks for an interface."""
        return int(self.sh("docker version -f '{{.Server.Version}}'").split(".")[0]) >= 28

    def network(self, name: str = "bus0", options: str = "-o can.name=can", more: str = "") -> str:
        """Make a network; its id."""
        command = (
            f"docker network create -d {self.driver} --ipam-driver null {options} {more} {name}"
        )
        return self.sh(command)

    def container(self, name: str, network: str = "bus0", more: str = "") -> str:
        """Start a container that sleeps; its id."""
        run = "docker run -d --stop-timeout 1"  # what sleeps as process 1 takes no SIGTERM
        return self.sh(f"{run} --network {network} --name {name} {more} ecu sleep 100000")

    def member(self, container: str, interface: str = "can0") -> str:
        """A container's interface in the words of tests.world.frames."""
        pid = self.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")
        return f"{pid}:{interface}"

    def assert_exactly_once(self, *members: str) -> None:
        """Real frames, from each member to each other one: each arrives exactly once."""
        done = self.guest.run(
            ["python3", "-m", "tests.world.frames", "--members", *members], check=False, timeout=120
        )
        assert done.status == 0, f"{done.stdout}\n{done.stderr}\n{self.state()}"

    def interfaces(self) -> list[str]:
        """The names of all CAN interfaces on the host, but for the hubs of buses that are there."""
        shown = json.loads(self.sh("ip -j link show"))
        found = {each["ifname"]: each for each in shown if each["link_type"] == "can"}
        return sorted(each for each, link in found.items() if hub_of(link) not in found)

    def rules(self) -> list[str]:
        """All gateway rules, as cangw lists them (its exit status means nothing)."""
        return [line for line in self.sh("cangw -L", check=False).splitlines() if "-s " in line]

    def state(self) -> str:
        """Everything that helps to understand a failure."""
        commands = ("ip -d link", "cangw -L", "docker ps -a", "cat /var/lib/canwharf/state.json")
        shown = [f"$ {each}\n{self.sh(each, check=False)}" for each in commands]
        return "\n".join([*shown, "$ canwharf's log", self.daemon.stderr])

    def clean(self) -> None:
        """Remove all containers and networks of a test; Swarm may be removing some by itself."""
        self.sh("timeout 60 sh -c 'until docker ps -aq | xargs -r docker rm -f; do :; done'")
        self.sh(f"docker network ls -q --filter driver={self.driver} | xargs -r docker network rm")


def wait_running(board: Board, *names: str) -> None:
    """Docker starts restart-policy containers in the background after it serves."""
    for name in names:
        board.sh(
            f"timeout 60 sh -c 'until docker ps -q -f status=running -f name={name} | grep -q .; "
            f"do :; done'"
        )


def hub_of(link: Mapping[str, object]) -> str:
    """The bus interface to whose hub a link belongs, as `ip -json` has it; or empty."""
    owner = naming.parse_alias(str(link.get("ifalias", "")))
    return owner.bus if isinstance(owner, naming.HubOwner) else ""
