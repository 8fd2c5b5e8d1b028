"""What can go wrong in the lab.

Rule: three things are never mistaken for one another. A command that failed in a healthy
guest is `CommandFailed` or `CommandTimeout`; a guest that is gone is `GuestDied`; a lab that
could not be built or booted is `LabError` itself. A test runner can therefore tell "the test
failed" from "there was nothing left to test".
"""

from __future__ import annotations


class LabError(Exception):
    """The lab itself could not do what was asked; the text says what and why."""


class GuestDied(LabError):  # noqa: N818 - it says what happened
    """The guest ended, or never came up. `console` is the tail of its console log."""

    def __init__(self, what: str, console: str = "") -> None:
        self.console = console
        super().__init__(f"{what}; its console ended with:\n{console}" if console else what)


class CommandError(LabError):
    """A command in a living guest did not do what was hoped for; carries what it said."""

    def __init__(self, what: str, command: str, stdout: str, stderr: str) -> None:
        self.command, self.stdout, self.stderr = command, stdout, stderr
        said = "\n".join(text.rstrip() for text in (stdout, stderr) if text.strip())
        super().__init__(f"{what}: {command}" + (f"\n{said}" if said else ""))


class CommandFailed(CommandError):  # noqa: N818 - as above
    """The command ended with a status other than 0 (128 + N: ended by signal N)."""

    def __init__(self, status: int, command: str, stdout: str, stderr: str) -> None:
        self.status = status
        super().__init__(f"exit status {status}", command, stdout, stderr)


class CommandTimeout(CommandError):  # noqa: N818 - as above
    """The command was still running after `timeout` seconds and was killed in the guest."""

    def __init__(self, timeout: float, command: str, stdout: str, stderr: str) -> None:
        self.timeout = timeout
        super().__init__(f"still running after {timeout:g} s, killed", command, stdout, stderr)
