"""A kernel and a daemon over it, for each test a new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

# A slow machine is no fault of the code.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("long", settings.get_profile("any-machine"), max_examples=5000)
settings.load_profile(os.environ.get("CANWHARF_HYPOTHESIS", "any-machine"))


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def daemon(tmp_path: Path, kernel: FakeKernel) -> Daemon:
    return Daemon(tmp_path, kernel)
