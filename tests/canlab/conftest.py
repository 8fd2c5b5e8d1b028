"""The kernel, made first if need be."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from canlab.kernel import VARIABLE
from lab.kernel import ensure_kernel


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that each user can reach, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="canlab-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def kernel() -> Iterator[Path]:
    """A copy of the kernel that only these tests start, so that what is left over is theirs."""
    with (
        tempfile.TemporaryDirectory(prefix="canlab-kernel-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o755)
        copy = Path(folder, "linux")
        if named := os.environ.get(VARIABLE):
            program, modules = Path(named), Path(named).parent / "modules"
        else:
            made = ensure_kernel()
            program, modules = made.program, made.modules.parent
        shutil.copy(program, copy)
        shutil.copytree(modules, Path(folder, "modules"))
        patch.setenv(VARIABLE, str(copy))
        yield copy
