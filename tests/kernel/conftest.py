"""A clean kernel before and after each test, and a limit for each.

These tests delete every CAN interface and rule of the machine that they run on: a lab guest.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import pytest

from canwharf.kernel.netlink import Netlink
from tests.kernel.loaded import echoing, hops, unload
from tests.kernel.seen import listen
from tests.kernel.site import Site
from tests.kernel.wired import _never_virtual, ears, plug
from tests.world.adapter import Adapter
from tests.world.container import Container
from tests.world.host import cangw_lines, run, wipe

__all__ = ["_never_virtual", "ears", "echoing", "hops", "listen", "plug"]

TEST_LIMIT = 60  # seconds; the slowest test takes a few


def pytest_configure() -> None:
    """Refuse to wipe anything but a guest."""
    if not Path("/repo/lab/init").exists():
        pytest.exit("the kernel tests wipe the machine's CAN interfaces: run them in a lab guest")


@pytest.fixture(autouse=True)
def _limit() -> Iterator[None]:
    """A test that hangs fails, and says where it hung."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"the test took more than {TEST_LIMIT} s")

    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(TEST_LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture(autouse=True)
def _clean(_limit: None) -> Iterator[None]:
    """No CAN interface but the test's own, and so no rule: they go with their interfaces."""
    wipe()
    yield
    wipe()


@pytest.fixture(autouse=True, scope="session")
def _no_rule_outlives_its_interfaces() -> Iterator[None]:
    """What `_clean` relies on."""
    yield
    assert cangw_lines() == []


@pytest.fixture
def netlink(_clean: None) -> Iterator[Netlink]:
    """A socket for requests."""
    opened = Netlink()
    yield opened
    opened.close()


@pytest.fixture
def stack(_clean: None) -> Iterator[ExitStack]:
    """Whatever is to be undone at the end of the test, before the kernel is wiped."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def container(stack: ExitStack) -> Container:
    """A network namespace."""
    made = Container()
    stack.callback(made.close)
    return made


@pytest.fixture
def site(_clean: None, tmp_path: Path) -> Iterator[Site]:
    """A machine with a daemon and no network."""
    made = Site(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def adapter(stack: ExitStack) -> Adapter:
    """A plugged-in classic CAN adapter, not yet configured."""
    made = Adapter()
    stack.callback(made.remove)
    return made


@contextmanager
def _without(module: str) -> Iterator[None]:
    """The kernel without a module, and with no way to load it by itself."""
    unload(module)
    loader = Path("/proc/sys/kernel/modprobe")
    before = loader.read_text()
    loader.write_text("/bin/false")
    try:
        yield
    finally:
        loader.write_text(before)
        run("modprobe", module)


@pytest.fixture
def no_vxcan(_clean: None) -> Iterator[None]:
    """A kernel without vxcan."""
    with _without("vxcan"):
        yield


@pytest.fixture
def no_vcan(_clean: None) -> Iterator[None]:
    """A kernel without vcan."""
    with _without("vcan"):
        yield


@pytest.fixture
def no_module(_clean: None, request: pytest.FixtureRequest) -> Iterator[str]:
    """A kernel without the module that the test names."""
    module: str = request.param
    with _without(module):
        yield module


@pytest.fixture
def no_gateway(_clean: None) -> Iterator[None]:
    """A kernel without can-gw."""
    with _without("can_gw"):
        yield
