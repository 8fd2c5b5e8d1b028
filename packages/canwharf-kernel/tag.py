"""Says for which machines the wheel is; hatchling calls this (pyproject.toml).

The kernel is a static program, so it needs no C library. manylinux_2_17 is the oldest name that
every pip of today knows; musllinux is for Alpine. A wheel may have both.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TAG = "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"


class Tag(BuildHookInterface[Any]):
    """hatchling's hook, by its rules."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Name the machines."""
        build_data["pure_python"] = False
        build_data["tag"] = TAG
