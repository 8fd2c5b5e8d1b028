"""Ways to boot a guest, of which each machine supports some.

Theory of operation
-------------------
A guest has a root folder, a disk image, two shared folders, a line to its agent and, where others
are to hear it, an Ethernet interface, whatever boots it. A *boot strategy* is a kernel, and how
these six reach it. Each is a file here:

    uml         the suite's own User-Mode Linux, run in the suite's root
    uml_sid     sid's User-Mode Linux, from a small folder of its own, under the suite's root
    kvm         the suite's ordinary kernel in QEMU, on this machine's processor
    emulation   the same without KVM: slow, for any processor (its name is "qemu")
    own         the lab's own User-Mode Linux (lab.kernel) under the suite's root; on two
                processors as own-smp

`choose` tries them in turn and remembers what came up. `lab.machine` knows none of them: it runs
`Boot.command` under `hold`, in namespaces of its own, and waits for the agent.

A strategy tells the guest's init (lab/init) what it has to know by words of the kernel's command
line, which become init's environment:

    lab_disk=ubda       the disk's device
    lab_line=ttyS0      the terminal at the guest's end of the agent's line
    lab_share=hostfs    how /repo and /share get in: mounted by init (hostfs), or there already (9p)
    lab_nic=vec0        the Ethernet interface, of a guest that has one

Rules: a strategy is found by trying it, never by comparing versions or the names of processors.
The suite's own kernel comes first, or no test would ever run on it. What a strategy needs is made
once and kept in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.cache import Report
from lab.suites import Suite

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Nic:
    """A guest's Ethernet interface, and what init gives it and its guest.

    `cable` is a descriptor that the command inherits: a datagram socket, a frame a packet.
    """

    cable: int
    mac: str
    address: str  # IPv4, with the length of its prefix
    host: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a guest is made of. `disk` and `line` are descriptors that the command inherits."""

    suite: Suite
    root: Path
    repository: Path
    share: Path
    disk: int
    line: int
    mem: str
    systemd: bool
    nic: Nic | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Words for the kernel's command line, the same for each boot strategy."""
        return (
            *("quiet", "panic=-1"),  # a panic ends the guest, where a machine would reboot
            *(("boot=systemd",) if self.systemd else ()),
            *((f"lab_host={self.nic.host}", f"lab_address={self.nic.address}") if self.nic else ()),
        )


class Boot(Protocol):
    """A boot strategy."""

    @property
    def name(self) -> str:
        """What a person calls it: `--boot`, CANWHARF_BOOT."""

    @property
    def what(self) -> str:
        """The kernel and what runs it, for a sentence."""

    @property
    def suites_kernel(self) -> bool:
        """Whether it boots a kernel of the suite, so that tests say something about that."""

    @property
    def limit(self) -> float:
        """Seconds within which the agent is there, or the guest counts as hung."""

    @property
    def hang_counts(self) -> bool:
        """Whether a guest that hangs says that the strategy is none for this machine."""

    @property
    def patience(self) -> float:
        """How many times longer than by User-Mode Linux a command may take."""

    def obstacle(self) -> str | None:
        """Why it is out of the question on this machine; None if it is worth a try."""

    def command(self, wiring: Wiring, report: Report) -> list[str]:
        """The command that is the guest; what it needs is made first.

        It runs as root with a mount and a pid namespace of its own, which end with it. Raises
        LabError when something that it needs cannot be made.
        """
