"""A machine of files, and a systemd that only remembers what it was told."""

from __future__ import annotations

from pathlib import Path

from canwharf.errors import CallError, InstallError


class System:
    """What was run; `broken` fails, `active` and `enabled` are units."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken = ""
        self.file = True  # the socket's
        self.active: set[str] = set()
        self.enabled: set[str] = set()

    def run(self, *words: str) -> str:
        line = " ".join(words)
        self.ran.append(line)
        if self.broken and line.startswith(self.broken):
            raise InstallError(f"{line} failed: it is broken")
        match words:
            case ["systemctl", "is-active", _, unit] if unit not in self.active:
                raise InstallError("inactive")
            case ["systemctl", "is-enabled", _, unit] if unit not in self.enabled:
                raise InstallError("disabled")
            case ["systemctl", "enable", *_, unit]:
                self.enabled |= {unit, unit.replace(".service", ".socket")}
            case ["systemctl", "start" | "restart", unit]:
                self.file = self.file or (unit.endswith(".socket") and unit not in self.active)
                self.active.add(unit)
            case ["systemctl", "stop", *stopped]:
                self.active -= set(stopped)
            case ["systemctl", "disable", "--now", *stopped]:
                self.active -= set(stopped)
                self.enabled -= set(stopped)
        return ""

    def call(self, path: str, name: str, limit: float) -> None:
        """Docker's own first question."""
        assert limit > 0
        if not self.file:
            raise CallError(name, path, "No such file or directory")

    def succeeds(self, *words: str) -> bool:
        try:
            self.run(*words)
        except InstallError:
            return False
        return True


def files(tmp_path: Path) -> dict[str, str]:
    """All files, by their path below tmp_path."""
    found = (path for path in tmp_path.rglob("*") if path.is_file())
    return {str(path.relative_to(tmp_path)): path.read_text() for path in found}
