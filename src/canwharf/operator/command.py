"""The system's own programs (modprobe, systemctl), for verbs that set a machine up or look at one.

Rules:

- Only those verbs use this: the daemon runs no other program.
- A program that fails is an InstallError with its own words.
"""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 (modprobe and systemctl have no other door)

from canwharf.errors import InstallError

_MORE = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"  # where a PATH has no sbin
_LIMIT = 120.0  # seconds; a service has 20 to start


def run(*words: str, limit: float = _LIMIT) -> str:
    """Run a program; what it wrote to standard output. `limit` is in seconds.

    Raises InstallError.
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
        said = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise InstallError(f"{' '.join(words)} failed: {said}")
    return done.stdout


def succeeds(*words: str) -> bool:
    """Whether a program ends with status 0; its words are of no interest."""
    try:
        run(*words)
    except InstallError:
        return False
    return True
