"""A Linux kernel with all of CAN built in, as a program that an ordinary user may run.

It is User-Mode Linux for x86-64, linked statically. Everything that it is made of is in this
folder: the configuration (`config`), the steps of its build (`kernel.sh`, `kernel.config`), the
changes to its source (`kernel.patches`), and where that is (`SOURCE.md`). The licenses are in the
distribution's metadata.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent


def path() -> Path:
    """The kernel. README.md says how it is started."""
    return HERE / "linux"


def modules() -> Path:
    """A folder for the guest's /lib/modules: by it modprobe knows that vcan is built in."""
    return HERE / "modules"


def version() -> str:
    """The kernel's version, as `7.2.13`; `uname -r` in a guest has a suffix behind it."""
    return metadata.version("canwharf-kernel")


def license() -> str:
    """The licenses of the kernel, and where its source is."""
    return (HERE / "SOURCE.md").read_text(encoding="utf-8")
