"""The projects, and the reasons that were found for their failures."""

from __future__ import annotations

from typing import NamedTuple


class Suite(NamedTuple):
    """A project's source distribution, and how its own CI runs its tests.

    Two projects' distributions have the tests without their helpers; then it is the project's
    `repository`, and the version a commit of it.
    """

    name: str
    version: str
    tests: str  # a folder of the distribution
    extras: str = ""
    tools: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    repository: str = ""


SUITES = (
    Suite(
        "python-can",
        "4.6.1",
        "test",
        extras="[canalystii,multicast,serial]",
        tools=("pytest-timeout", "hypothesis<6.138", "parameterized"),
        # Without it the tests of real interfaces are skipped; its own CI sets both.
        environment=(("TEST_SOCKETCAN", "TRUE"), ("CI", "true")),
    ),
    Suite(
        "can-isotp",
        "4e5519c9f08e8a78de092495528db342bcdfb3b2",
        "test",
        tools=("python-can",),
        repository="https://github.com/pylessard/python-can-isotp",
    ),
    Suite("can-j1939", "2.0.12", "test"),
    Suite(
        "cantools",
        "45.1.0",
        "tests",
        extras="[cache,plot]",
        tools=("parameterized", "freezegun<1.6"),
    ),
    Suite("canopen", "2.4.1", "test"),
    Suite(
        "udsoncan",
        "807f38647824c41f940d21ac073a3bee2de3eedf",
        "test",
        tools=("can-isotp", "python-can"),
        repository="https://github.com/pylessard/python-udsoncan",
    ),
)

# What the suites look for: vcan0, and python-can's test/open_vcan.sh makes three of them.
INTERFACES = ("vcan0", "vxcan0", "slcan0")

# (suite, part of a test's name) -> why it fails, or differs.
REASONS = {
    ("python-can", "test_cyclic_socketcan"): (
        "it asserts that each period is kept within 10 ms, which a busy machine does not do."
    ),
    ("python-can", "test_message_sync"): (
        "it asserts that messages are replayed within 50 ms of their times, which a busy machine "
        "does not do."
    ),
    ("canopen", "test_sdo_block_upload_retransmit"): (
        "the answer must be there before canopen's own limit of 0.3 s: it is, in most runs."
    ),
}
