"""Disk images: an ext4 file system in a sparse file, blank or with Docker prepared on it.

Rule: the prepared disk of a suite is made once, by a guest that is shut down in order, and
then only copied. A copy that belongs to one guest is opened and at once unlinked, so nothing
is left of it after any failure.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO

from lab import cache
from lab.cache import Report, say
from lab.docker import FLAGS, import_image, start_docker
from lab.machine import HERE, REPOSITORY, Machine
from lab.root import ensure_root, root_name, run_tool
from lab.suites import Suite

SIZE = 4 << 30  # bytes; sparse, so this is a limit, not a cost
IMAGE_SCRIPTS = (HERE / "image.sh", REPOSITORY / "packages/canlab/src/canlab/can-utils.sh")


def blank(path: Path) -> None:
    """Make a disk image with an empty file system (as a prepared one, but without Docker's)."""
    with path.open("xb") as file:
        file.truncate(SIZE)
    # Everything is written now, not by the guest's kernel in the background later.
    lazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    run_tool(["mkfs.ext4", "-q", "-F", "-E", lazy, str(path)])


def prepared(suite: Suite, report: Report = say) -> Path:
    """The suite's disk with Docker's state and the image `ecu`; made first if need be."""
    root = ensure_root(suite, report)

    def make(target: Path) -> None:
        blank(target)
        with Machine(suite, root, target.open("r+b"), report=report) as machine:
            report(f"{suite.name}: the guest is up, starting Docker")
            docker = start_docker(machine)
            report(f"{suite.name}: Docker is up, importing the image")
            import_image(machine)
            docker.stop()
            machine.power_off()

    recipe = cache.key(SIZE, FLAGS, *(path.read_bytes() for path in IMAGE_SCRIPTS))
    return cache.entry(f"disk-{root_name(suite)}-{recipe}", f"the {suite.name} disk", make, report)


def copy(source: Path, target: Path) -> None:
    """Copy an image without its holes, and without its data where the file system can."""
    run_tool(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)])


def temporary(source: Path) -> IO[bytes]:
    """An open copy of an image that has no name, and is gone when it is closed."""
    descriptor, name = tempfile.mkstemp(prefix="guest-", suffix=".img", dir=cache.folder())
    try:
        copy(source, Path(name))
        return os.fdopen(descriptor, "r+b")
    finally:
        os.unlink(name)
