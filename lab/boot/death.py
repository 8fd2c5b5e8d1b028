"""What a guest died of, in words: the line of its console that matters, and what it means.

Rule: a person sees which strategy was tried and one line of the kernel's own words, never only the
stack trace that comes with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.boot import Boot

# What the console says -> what that means and what helps. The first that is found counts.
SIGNS = (
    (
        r"ptrace set fp regs failed.*",
        "this kernel has no room for this processor's registers (with AMX; mended in 6.13)",
    ),
    (
        r".*(Cannot allocate memory|No space left on device).*",
        "this machine has no memory left for a guest: end other guests, or give it less (--mem)",
    ),
    (
        r".*(PTRACE_\w+|ptrace|seccomp).*(Operation not permitted|EPERM|errno = 1\b).*",
        "this machine forbids what User-Mode Linux lives by, as some containers do",
    ),
    (
        r".*(KVM|kvm|failed to set MSR).*",
        "KVM does not run a guest here, as on many virtual machines",
    ),
    (r".*error while loading shared libraries.*", "the kernel's program does not find its library"),
    (r"init: .*", "the guest's init gave up"),
    (r".*Kernel panic - not syncing.*", "the guest's kernel panicked"),
)
_STAMP = re.compile(r"^\[\s*\d+\.\d+\]\s*")


@dataclass(frozen=True, slots=True)
class Failure:
    """A strategy that did not bring a guest up. `died` is false where it hung until its limit."""

    boot: Boot
    died: bool
    console: str

    @property
    def why(self) -> str:
        """The reason, in one line."""
        if not self.died:
            return f"it was not up after {self.boot.limit:.0f} s"
        line, meaning = diagnosis(self.console)
        return f"{meaning}: {line}" if meaning else (line or "it ended without a word")

    def __str__(self) -> str:
        verb = "died" if self.died else "hung"
        return f"{self.boot.what} ({self.boot.name}) {verb} before it was up: {self.why}"


def diagnosis(console: str) -> tuple[str, str]:
    """The line that says why a guest died, and what it means; "" where that is not known."""
    lines = [_STAMP.sub("", line).strip() for line in console.splitlines()]
    for sign, meaning in SIGNS:
        for line in lines:
            if re.fullmatch(sign, line):
                return line, meaning
    return next((line for line in reversed(lines) if line), ""), ""
