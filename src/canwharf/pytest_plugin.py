"""The pytest plugin: the fixture `bus` is a CAN bus for containers, which a test listens to.

It is loaded wherever canwharf and pytest are installed: it imports nothing else before a test asks
for a bus, and does only what is asked for.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    import pluggy

    from canwharf.testing import Bus


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker, as --strict-markers wants it."""
    config.addinivalue_line(
        "markers",
        "can_bus(options): driver options of the test's bus, as {'can.bandwidth': '500000'}",
    )


@pytest.fixture
def bus(request: pytest.FixtureRequest) -> Iterator[Bus]:
    """A CAN bus that only this test has: a Docker network, removed with its containers at the end.

    It needs Docker with the driver canwharf, and CAN in the kernel: `canlab --docker pytest` has
    all of it. The marker `can_bus(options={…})` gives the network driver options.
    """
    from canwharf.testing import Bus, UnavailableError  # noqa: PLC0415 - not before it is asked for

    why = ""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(Bus(_options(request), test=request.node.nodeid))
        except UnavailableError as error:
            why = f"the fixture bus: {error}"
        if why:  # without the pages of what was tried
            pytest.fail(why, pytrace=False)
        yield made


def _options(request: pytest.FixtureRequest) -> Mapping[str, object]:
    """What the marker says."""
    marker = request.node.get_closest_marker("can_bus")
    if marker is None:
        return {}
    try:
        return can_bus(*marker.args, **marker.kwargs)
    except TypeError as error:
        why = f"the marker of the fixture bus: {error}"
    pytest.fail(why, pytrace=False)


def can_bus(options: Mapping[str, object]) -> Mapping[str, object]:
    """What the marker takes."""
    return options


@pytest.hookimpl(hookwrapper=True)  # the old form: an old pytest loads this, too
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """Add to the report of a failure what was sent on each bus, and what its containers said."""
    outcome = yield
    testing = sys.modules.get("canwharf.testing.bus")
    if testing is None or call.excinfo is None or call.when == "teardown":
        return
    report = outcome.get_result()
    if report.failed:
        for of_test in testing.OPEN:
            report.sections += of_test.report()
