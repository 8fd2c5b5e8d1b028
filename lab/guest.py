"""A guest, as tests use it: the machine with the root and the disk that its suite needs.

Usage::

    with Guest("trixie") as guest:
        docker = start_docker(guest)
        guest.run("docker run --rm --network none ecu true")
        guest.power_cut()
        guest.boot()
"""

from __future__ import annotations

from pathlib import Path

from lab import disk as images
from lab.boot import choose
from lab.cache import Report, say
from lab.docker import FLAGS
from lab.hub import Cable
from lab.machine import REPOSITORY, Machine
from lab.root import ensure_root
from lab.suites import DEFAULT_SUITE, suite_named


class Guest(Machine):
    """A machine of a suite. Boots when entered as a context manager.

    `disk` names an image that is kept; if there is no such file yet, it is a copy of the suite's
    prepared disk (Docker's state and the image `ecu`). Without one, the guest has a copy that
    ends with it. Only one guest at a time may use an image. `mem` as the kernel reads it.

    With `systemd` everything that is written survives a power cut, not only what Docker and
    canwharf keep, and Docker is started by its own unit at each boot.
    """

    def __init__(
        self,
        suite: str = DEFAULT_SUITE,
        *,
        disk: Path | None = None,
        mem: str = "2G",
        systemd: bool = False,
        boot: str | None = None,
        cable: Cable | None = None,
        repository: Path = REPOSITORY,
        report: Report = say,
    ) -> None:
        choose.requested(boot)  # before minutes are spent on a root
        row = suite_named(suite)
        root = ensure_root(row, report)
        if disk is None:
            image = images.temporary(images.prepared(row, report))
        else:
            if not disk.exists():
                images.copy(images.prepared(row, report), disk)
            image = disk.open("r+b")
        super().__init__(
            row,
            root,
            image,
            mem=mem,
            systemd=systemd,
            boot=boot,
            cable=cable,
            repository=repository,
            report=report,
        )
        # Read by Docker's unit (lab/units).
        (self.share / "docker.env").write_text(f"DOCKER_OPTS={' '.join(FLAGS)}\n")
