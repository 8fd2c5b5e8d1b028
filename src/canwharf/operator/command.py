"""Run the system's programs (modprobe, systemctl), for install, uninstall and doctor.

Rules:

- Only these verbs use it: the daemon runs no other program.
- The error of a program that fails has the program's own text.
"""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 (modprobe and systemctl have no other interface)

from canwharf.errors import InstallError

_MORE = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"  # for a PATH without sbin
_LIMIT = 120.0  # seconds; a service has 20 to start


def run(*words: str, limit: float = _LIMIT) -> str:
    """Run a program and return its standard output. `limit` is in seconds.

    Raises InstallError if it is missing, fails, or takes longer.
    """
    program = shutil.which(words[0]) or shutil.which(words[0], path=_MORE)
    if program is None:
        raise InstallError(f"cannot run {' '.join(words)}: there is no program {words[0]}")
    try:
        done = subprocess.run(
            [program, *words[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=limit,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"cannot run {' '.join(words)}: {error}") from error
    if done.returncode:
        output = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise InstallError(f"{' '.join(words)} failed: {output}")
    return done.stdout


def succeeds(*words: str) -> bool:
    """Whether a program exists and ends with status 0."""
    try:
        run(*words)
    except InstallError:
        return False
    return True
