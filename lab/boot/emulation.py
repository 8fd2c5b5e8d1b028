"""QEMU without KVM: the suite's ordinary kernel, on any processor, ten to twenty times slower."""

from __future__ import annotations

from dataclasses import dataclass

from lab.boot import Wiring
from lab.boot.qemu import no_board, qemu_command
from lab.cache import Report


@dataclass(frozen=True, slots=True)
class Emulation:
    """The suite's ordinary kernel in QEMU, by emulation on two threads."""

    name: str = "qemu"
    what: str = "the suite's ordinary kernel in QEMU, emulated"
    suites_kernel: bool = True
    limit: float = 600.0
    hang_counts: bool = False
    patience: float = 15.0

    def obstacle(self) -> str | None:
        """Worth a try on each architecture that the lab knows."""
        return no_board()

    def command(self, wiring: Wiring, report: Report) -> list[str]:
        """Run QEMU's own translation of the guest's instructions."""
        report("booting by emulation: a minute until the guest is up, two more for Docker")
        return qemu_command(wiring, ("-accel", "tcg,thread=multi", "-cpu", "max"), report)
