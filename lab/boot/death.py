"""What a guest died of, in words: the line of its console that matters, and what it means.

Rules:

- A person sees which strategy was tried and one line of the kernel's own words, never only the
  stack trace that comes with it.
- A sign is looked for in the words of its speaker (the kernel, QEMU, our own init), from the end of
  the console: a harmless line of the boot is not taken for the reason.
- A death says something about the strategy only where the sign does (`UNFIT`). Where it is the
  guest's own fault (`GUEST`: its disk, its memory), no other strategy is tried.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.boot import Boot

UNFIT, GUEST, UNKNOWN = "unfit", "guest", "unknown"

# What the console says -> what that means and what helps, and what follows from it.
SIGNS = (
    (
        r"ptrace set fp regs failed.*",
        "this kernel has no room for this processor's registers (with AMX; fixed in 6.13)",
        UNFIT,
    ),
    (
        r".*\b(PTRACE_\w+|ptrace)\b.*(not permitted|EPERM|errno = 1\b).*|SECCOMP userspace.*",
        "this machine forbids what User-Mode Linux lives by, as some containers do",
        UNFIT,
    ),
    (
        r"qemu-system-\S+: .*(kvm|KVM|failed to set MSR).*",
        "KVM does not run a guest here, as on many virtual machines",
        UNFIT,
    ),
    (r".*error while loading shared libraries.*", "the program does not find its library", UNFIT),
    (r"Too few physical memory.*", "give the guest more memory (--mem 2G)", GUEST),
    (
        r"(qemu-system\S*|lseek64|mmap|ftruncate|map)\b.*Cannot allocate memory.*",
        "this machine has no memory left: end other guests, or give this one less (--mem)",
        GUEST,
    ),
    (
        r"unshare: .*not permitted.*",
        "a guest needs root and CAP_SYS_ADMIN (in a container: --privileged)",
        GUEST,
    ),
    (r"init: .*", "the guest's init gave up", GUEST),
    (r".*Kernel panic - not syncing.*", "the guest's kernel panicked", UNKNOWN),
)
_STAMP = re.compile(r"^\[\s*\d+\.\d+\]\s*")


@dataclass(frozen=True, slots=True)
class Failure:
    """A strategy that did not bring a guest up.

    `died` is false where it hung until its limit. `missing` says what could not be made for it;
    then it was not tried.
    """

    boot: Boot
    died: bool
    console: str
    missing: str = ""

    @property
    def verdict(self) -> str:
        """UNFIT if it says that the strategy is none for this machine, GUEST, or UNKNOWN."""
        if self.missing:
            return UNKNOWN
        if not self.died:
            return UNFIT if self.boot.hang_counts else UNKNOWN
        return diagnosis(self.console)[2]

    def __str__(self) -> str:
        name = f"{self.boot.what} ({self.boot.name})"
        if self.missing:
            return f"{name} cannot be had here: {self.missing}"
        line, meaning, _ = diagnosis(self.console)
        if not self.died:
            last = f"; its last word: {line}" if line else ""
            return f"{name} hung: it was not up after {self.boot.limit:.0f} s{last}"
        why = f"{meaning}: {line}" if meaning else (line or "it ended without a word")
        return f"{name} died before it was up: {why}"


def diagnosis(console: str) -> tuple[str, str, str]:
    """The line that says why a guest died, what it means, and what follows from it.

    Where that is not known: the last line, no meaning, UNKNOWN.
    """
    lines = [_STAMP.sub("", line).strip() for line in console.splitlines()]
    for sign, meaning, verdict in SIGNS:
        for line in reversed(lines):
            if re.fullmatch(sign, line):
                return line, meaning, verdict
    return next((line for line in reversed(lines) if line), ""), "", UNKNOWN
