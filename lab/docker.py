"""Docker in a guest: start, kill, stop, and the one image there is.

Rule: a daemon is started with the flags that this kernel allows (no NAT, so no iptables and no
default bridge) and nothing else that changes how it treats a network driver.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.machine import Machine

IMAGE = "ecu"

# dockerd looks for its control groups itself, as there is no systemd.
FLAGS = (
    "--iptables=false",
    "--ip6tables=false",
    "--bridge=none",
    "--storage-driver=overlay2",
    "--exec-opt=native.cgroupdriver=cgroupfs",
)
START_TIMEOUT = 90.0
# Docker gives a container 10 s to stop, all at once.
STOP_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Docker:
    """The Docker daemon of a guest."""

    guest: Machine
    live_restore: bool = False
    flags: tuple[str, ...] = ()

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start it; returns when it serves. CommandFailed carries its log if it does not."""
        flags = [*FLAGS, *(["--live-restore"] if self.live_restore else []), *self.flags]
        version = self._do("start", f"{timeout:g}", *flags, timeout=timeout + 15)
        self.guest.write_down(docker=version.strip())

    def kill(self) -> None:
        """A crash: SIGKILL to the daemon, and to nothing else."""
        self._do("kill", timeout=20)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """An orderly stop; containers stop too, unless with live_restore."""
        self._do("stop", f"{timeout:g}", timeout=timeout + 15)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    @property
    def log(self) -> str:
        """The daemon's log since the guest booted."""
        return self.guest.run(["cat", "/run/dockerd.log"]).stdout

    def _do(self, verb: str, *arguments: str, timeout: float) -> str:
        command = ["python3", "-I", "/repo/lab/dockerd.py", verb, *arguments]
        return self.guest.run(command, timeout=timeout).stdout


def start_docker(
    guest: Machine, *, live_restore: bool = False, flags: tuple[str, ...] = ()
) -> Docker:
    """Start Docker in a guest and wait until it serves; `flags` are added to dockerd's."""
    docker = Docker(guest, live_restore, flags)
    docker.start()
    return docker


def import_image(guest: Machine) -> None:
    """Make the image `ecu` (the prepared disk has it already)."""
    guest.run(["sh", "/repo/lab/image.sh"], timeout=120)
