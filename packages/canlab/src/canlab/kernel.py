"""The kernel: which file it is, and whether this machine can run it at all."""

from __future__ import annotations

import os
import platform
from importlib import import_module

from canlab.errors import CanlabError, UnfitError

VARIABLE = "CANLAB_KERNEL"
PACKAGE = "canwharf_kernel"
MOST_PROCESSORS = 8  # CONFIG_NR_CPUS: it takes no more, without a word


def find() -> str:
    """The path of the kernel's file: what CANLAB_KERNEL names, else that of the package.

    Raises UnfitError on a machine that has no User-Mode Linux, CanlabError without the file.
    """
    machine = platform.machine()
    if machine != "x86_64":
        raise UnfitError(f"the kernel runs on x86-64 only, and this machine is {machine}")
    if named := os.environ.get(VARIABLE):
        path = os.path.abspath(named)
        origin = f"{VARIABLE} names"
    else:
        try:
            path = str(import_module(PACKAGE).path())
        except ModuleNotFoundError:
            raise CanlabError(
                "the kernel is missing: pip install canwharf-kernel, or name its file by "
                f"{VARIABLE}"
            ) from None
        origin = f"the package {PACKAGE} has"
    if not os.path.isfile(path):
        raise CanlabError(f"{origin} {path}, which is not there")
    if not os.access(path, os.X_OK):
        raise CanlabError(f"{origin} {path}, which is not executable: chmod +x {path}")
    return path


def modules(program: str) -> str:
    """The folder beside a kernel that says what is built into it, as the package has it; or ""."""
    folder = os.path.join(os.path.dirname(program), "modules")
    return folder if os.path.isdir(folder) else ""
