"""The kernel, made first if need be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from canlab.kernel import VARIABLE
from lab.kernel import ensure_kernel


@pytest.fixture(scope="session", autouse=True)
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the kernel that only these tests start, so that what is left over is theirs."""
    copy = tmp_path_factory.mktemp("kernel") / "linux"
    shutil.copy(os.environ.get(VARIABLE) or ensure_kernel().program, copy)
    # Ordinary users start it, too.
    for folder in (copy.parent, *list(copy.parents)[1:3]):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(copy)
    yield copy
    if before is None:
        del os.environ[VARIABLE]
    else:
        os.environ[VARIABLE] = before
