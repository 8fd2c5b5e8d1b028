"""A person who has only the README, the package and a bare board is on a bus in five minutes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from canwharf import __version__
from lab import deb
from lab.guest import Guest
from lab.machine import REPOSITORY

LIMIT = 300.0  # seconds: what the README is for
IMAGE = "docker build -t can-utils -"
# The lab cannot fetch Debian's image; its own has the same tools.
STAND_IN = "docker tag ecu can-utils"
COMPOSE = "services:"  # a file, no command; test_pages.py starts it


def blocks(*sections: str) -> Iterator[str]:
    """The README's commands in these sections, block by block, as they stand there."""
    parts = re.split(r"^## (.*)$", (REPOSITORY / "README.md").read_text(), flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    for section in sections:
        for block in re.findall(r"(?:^    .*\n)+", texts[section], re.MULTILINE):
            yield re.sub(r"^    ", "", block, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that the README names."""
    return deb.build(tmp_path_factory.mktemp("package"))


def test_five_minutes_from_the_readme_to_a_frame(
    package: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Word for word, on a board that has Docker and has never seen canwharf."""
    with Guest("sid", systemd=True) as board:
        board.run("systemctl is-system-running --wait")
        (board.share / package.name).write_bytes(package.read_bytes())
        begun = monotonic()
        said = ""
        for block in blocks("Install", "The first bus"):
            if block.startswith(COMPOSE):
                continue
            command = STAND_IN if block.startswith(IMAGE) else block
            left = LIMIT - (monotonic() - begun)
            done = board.run(["sh", "-exc", command], timeout=left, cwd="/share")
            said += done.stdout
        record_testsuite_property("seconds from the README to a frame", round(monotonic() - begun))
        assert re.search(r"^\(.*\) can0 123#DEADBEEF$", said, re.MULTILINE), said
        assert "vcan0" in said
        assert board.run("canwharf --version").stdout.strip().endswith(__version__)
