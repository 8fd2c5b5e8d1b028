"""What a wheel has beside the program: the manual page and bash's completion, made at its build.

They come below the environment's share/, where man(1) looks for a program that is in PATH, and
where bash-completion (from 2.12 on) looks for one by its path. pipx links the manual. Units are not
among them: `canwharf install` writes those. hatchling calls this (pyproject.toml).
"""

from __future__ import annotations

import subprocess  # noqa: TID251 (a build runs programs)
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SHARED = ("share/man", "share/bash-completion")


class SharedFiles(BuildHookInterface[Any]):
    """hatchling's hook, by its rules."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the files, and tell hatchling of them. An editable wheel has none."""
        if version != "standard":
            return
        self.made = TemporaryDirectory(prefix="canwharf-wheel-")
        generate = Path(self.root, "packaging/generate.py")
        subprocess.run([sys.executable, "-B", generate, self.made.name, "canwharf"], check=True)
        usr = Path(self.made.name, "usr")
        build_data["shared_data"].update({str(usr / each): each for each in _SHARED})

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """The wheel has the files."""
        if version == "standard":
            self.made.cleanup()
