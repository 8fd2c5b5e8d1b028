"""A kernel and a daemon over it, for each test a new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from canwharf.cli import selection
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel

# Examples that hypothesis tries for a test: few after each edit; more where CI=true, which
# `make test` sets; thousands on request, which takes a quarter of an hour:
# `HYPOTHESIS_PROFILE=large make unit`. CI tries the same ones each time (the Makefile sets
# PYTHONHASHSEED for it): a change is judged by what it changed. Others try new ones.
EXAMPLES = {"small": 50, "ci": 150, "large": 5000}
for _name, _examples in EXAMPLES.items():
    settings.register_profile(
        _name,
        settings.get_profile("default"),  # not what hypothesis takes by itself where CI is set
        derandomize=_name == "ci",
        database=None if _name == "ci" else settings.get_profile("default").database,
        max_examples=_examples,
        stateful_step_count=60 if _name == "large" else 40,
        deadline=None,  # a slow machine is no fault of the code
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "small")
)


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def daemon(tmp_path: Path, kernel: FakeKernel) -> Daemon:
    return Daemon(tmp_path, kernel)


@pytest.fixture(autouse=True)
def _no_daemon_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command looks at the daemon that runs: none does, whatever runs beside the tests."""
    monkeypatch.setattr(selection, "running", dict)
