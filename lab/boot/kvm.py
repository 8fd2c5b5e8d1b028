"""QEMU with KVM: the suite's ordinary kernel at the speed of this machine's processor.

Rule: that /dev/kvm opens says nothing. On many virtual machines it does, and then the guest hangs
or QEMU ends with an error; so it is tried, with a time limit, and a hang counts as an answer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.boot import Wiring
from lab.boot.qemu import no_board, qemu_command
from lab.cache import Report

DEVICE = Path("/dev/kvm")


@dataclass(frozen=True, slots=True)
class Kvm:
    """The suite's ordinary kernel in QEMU, by KVM."""

    name: str = "kvm"
    what: str = "the suite's ordinary kernel in QEMU with KVM"
    suites_kernel: bool = True
    limit: float = 60.0
    hang_counts: bool = True
    patience: float = 1.0

    def obstacle(self) -> str | None:
        """Not worth a try where /dev/kvm is missing or closed."""
        if not os.access(DEVICE, os.R_OK | os.W_OK):
            return f"{DEVICE} is missing, or closed to this user"
        return no_board()

    def command(self, wiring: Wiring, report: Report) -> list[str]:
        """Run QEMU on this machine's own processor."""
        return qemu_command(wiring, ("-accel", "kvm", "-cpu", "host"), report)
