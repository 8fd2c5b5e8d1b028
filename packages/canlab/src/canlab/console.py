"""What a User-Mode Linux died of, in words: the line of its console that says why. Pure.

A sign is looked for in the words of its speaker, from the end of the console: a harmless line of
the boot is not taken for the reason.
"""

from __future__ import annotations

import re

# What the console says -> what that means and what helps; whether it is the machine's fault.
SIGNS = (
    (
        r"ptrace set fp regs failed.*",
        "this kernel has no room for this processor's registers (with AMX; fixed in 6.13)",
        True,
    ),
    (
        r".*\b(PTRACE_\w+|ptrace|seccomp|SECCOMP)\b.*(not permitted|EPERM|errno = 1\b|[Ff]ailed).*",
        "this machine forbids what User-Mode Linux lives by, as some sandboxes do",
        True,
    ),
    (r".*error while loading shared libraries.*", "the kernel does not find its library", True),
    (r".*version `GLIBC_\S+' not found.*", "this machine's C library is too old", True),
    (r".*Exec format error.*|.*cannot execute binary file.*", "this file is no kernel", True),
    (r"Too few physical memory.*", "give the guest more memory (--memory 1G)", False),
    (
        r"(lseek64|mmap|ftruncate|map|write)\b.*(Cannot allocate memory|No space left).*",
        "this machine has no memory left: run fewer at once, or take less (--memory 256M)",
        False,
    ),
    (r".*must be not mounted noexec.*", "the folder for the memory is mounted noexec", True),
    (r"canlab: .*", "the guest gave up", False),
    (r".*Out of memory: Killed.*", "the guest has no memory left (--memory)", False),
    (r".*Kernel panic - not syncing.*", "the guest's kernel panicked", False),
    (r"\w*Error: .*", "the guest gave up", False),
)
_STAMP = re.compile(r"^\[\s*\d+\.\d+\]\s*")


def diagnosis(console: str) -> tuple[str, bool]:
    """Why the kernel died, in a sentence, and whether no kernel would run on this machine."""
    lines = [_STAMP.sub("", line).strip() for line in console.splitlines()]
    for sign, meaning, unfit in SIGNS:
        for line in reversed(lines):
            if re.fullmatch(sign, line):
                return f"{meaning}: {line}", unfit
    return next((line for line in reversed(lines) if line), "it ended without a word"), False
