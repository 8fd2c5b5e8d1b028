"""The figures of the daemon, served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake.daemon import Daemon
from tests.unit.daemon.scraped import Scraped


@pytest.fixture
def scraped(daemon: Daemon) -> Iterator[Scraped]:
    made = Scraped(daemon)
    yield made
    made.end()
