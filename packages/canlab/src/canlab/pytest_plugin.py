"""The pytest plugin: `pytest --can-kernel` runs the whole session inside; `can_interface` is a bus.

It is loaded wherever canlab is installed: it imports little, and does only what is asked for.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

INSIDE = "CANLAB"
_OPTION = "--can-kernel"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option, and the same in pytest's configuration file."""
    group = parser.getgroup("canlab")
    group.addoption(
        _OPTION,
        action="store_true",
        help="run all tests in a kernel with CAN (canlab): no root, no module needed",
    )
    parser.addini("can_kernel", f"as {_OPTION}", type="bool", default=False)
    parser.addini("can_interfaces", "canlab's --interfaces, as vcan0,can0=slcan", default="vcan0")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run this very command again inside, in place of the session here."""
    wanted = config.getoption("can_kernel") or config.getini("can_kernel")
    if not wanted or INSIDE in os.environ:
        return None
    from canlab import cli  # noqa: PLC0415 - where it is not asked for, nothing is loaded

    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.suspend_global_capture(in_=True)
    # `-m pytest` adds the current folder to the path of imports, which `pytest` does not.
    script = os.path.basename(sys.argv[0]) == "pytest"
    program = [sys.executable, sys.argv[0]] if script else [sys.executable, "-m", "pytest"]
    command = [*program, *config.invocation_params.args]
    os.chdir(config.invocation_params.dir)
    return cli.call(
        ["--interfaces", config.getini("can_interfaces"), "--native", "auto", "--", *command]
    )


@pytest.fixture
def can_interface() -> Iterator[str]:
    """The name of a virtual bus that is up, and that only this test has.

    It is made for the test where this process may do that, as inside; else it is vcan0, which must
    be there.
    """
    from canlab.interfaces import make  # noqa: PLC0415
    from canlab.netlink import Netlink  # noqa: PLC0415

    name = f"vcan{os.getpid()}"
    netlink = Netlink()
    try:
        make(netlink, (name, "vcan", ""))
    except OSError as error:
        if "vcan0" not in {each for _, each in socket.if_nameindex()}:
            pytest.fail(
                f"there is no CAN interface, and none can be made ({error.strerror}): "
                f"run pytest with {_OPTION}",
                pytrace=False,
            )
        yield "vcan0"
    else:
        yield name
        netlink.delete(name)
    finally:
        netlink.close()
