"""The lab's own kernel under the suite's root: all of CAN built in, one processor or two.

Debian's User-Mode Linux is built for one processor, so whatever goes wrong only where two
processors forward frames at the same moment shows under this kernel alone. It also has what
Debian's lacks (ISO-TP, all of tc), and no module, as the kernels of some boards.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.boot import Wiring
from lab.boot.uml import no_uml, uml_command
from lab.cache import Report
from lab.errors import LabError
from lab.kernel import ensure_kernel

# What is built in makes interfaces of its own accord. In Debian's kernels it is a module, which is
# not loaded.
WORDS = ("dummy.numdummies=0", "ifb.numifbs=0")


@dataclass(frozen=True, slots=True)
class Own:
    """The lab's own User-Mode Linux."""

    name: str = "own"
    what: str = "the lab's own kernel"
    suites_kernel: bool = False
    limit: float = 120.0
    hang_counts: bool = False
    patience: float = 1.0
    processors: int = 1

    def obstacle(self) -> str | None:
        """Not worth a try where there is no User-Mode Linux."""
        return no_uml()

    def command(self, wiring: Wiring, report: Report) -> list[str]:
        """Run the kernel in its folder, which is made first (minutes, once).

        Raises LabError for a guest with a cable: its driver needs libraries, the kernel none.
        """
        if wiring.nic:
            raise LabError("the lab's own kernel has no Ethernet interface for a cable")
        return uml_command(
            wiring,
            kernel=ensure_kernel(report).folder,
            rootflags="/mnt",
            words=(f"ncpus={self.processors}", *WORDS),
        )


# Processors that wait for each other cost a guest much time.
OWN_SMP = Own("own-smp", "the lab's own kernel on two processors", patience=3.0, processors=2)
