"""User-Mode Linux of the suite itself: a kernel that is a process. The usual way on x86-64."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from lab.boot import HERE, Nic, Wiring
from lab.cache import Report

PROGRAM = "/usr/bin/linux.uml"
# Newer kernels catch the guest's system calls by seccomp instead of ptrace if asked to: about
# twice as fast. Older ones take the word for one of init's and go on.
SECCOMP = "seccomp=on"


@dataclass(frozen=True, slots=True)
class Uml:
    """The suite's own User-Mode Linux, with the suite's own libraries."""

    name: str = "uml"
    what: str = "the suite's own User-Mode Linux"
    suites_kernel: bool = True
    limit: float = 120.0
    hang_counts: bool = False
    patience: float = 1.0

    def obstacle(self) -> str | None:
        """Not worth a try where there is no User-Mode Linux."""
        return no_uml()

    def command(self, wiring: Wiring, report: Report) -> list[str]:  # noqa: ARG002
        """Run the kernel in the suite's root; nothing has to be made."""
        return uml_command(wiring, kernel=wiring.root, rootflags="/")


def no_uml() -> str | None:
    """Why there is no User-Mode Linux for this machine, or None."""
    if platform.machine() == "x86_64":
        return None
    return f"there is no User-Mode Linux for {platform.machine()}"


def uml_command(
    wiring: Wiring,
    *,
    kernel: Path,
    rootflags: str,
    program: str = PROGRAM,
    words: tuple[str, ...] = (),
) -> list[str]:
    """The command for a kernel that is `program` in the folder `kernel`.

    `rootflags` is where, seen from that folder, the guest's root is; `words` go onto the kernel's
    command line.
    """
    return [
        *("/bin/sh", str(HERE / "enter"), str(kernel), str(wiring.root)),
        *(str(wiring.repository), str(wiring.share), program, f"mem={wiring.mem}"),
        *("rootfstype=hostfs", f"rootflags={rootflags}", "root=/dev/root", "ro"),
        f"ubd0=/proc/self/fd/{wiring.disk}",
        *("con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{wiring.line}"),
        *(*wiring.words, SECCOMP, *words, "init=/repo/lab/init"),
        *("lab_disk=ubda", "lab_line=ttyS0", "lab_share=hostfs"),
        *_nic_words(wiring.nic),
    ]


def _nic_words(nic: Nic | None) -> tuple[str, ...]:
    if nic is None:
        return ()
    return (f"vec0:transport=fd,fd={nic.cable},mac={nic.mac}", "lab_nic=vec0")
