"""The fixture as a suite has it: its report, what it says where it cannot work, what it costs."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from time import time_ns

import pytest
from docker.errors import APIError

from canwharf.frames.frame import Frame
from canwharf.testing import engine
from tests.unit.testing.fakes import FakeCapture, FakeContainer, FakeDocker

pytest_plugins = ["pytester"]


def _fails(pytester: pytest.Pytester, test: str) -> str:
    """What pytest says of this test, which fails."""
    pytester.makepyfile(test)
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--strict-markers")
    assert done.ret == 1
    return str(done.stdout)


def test_a_failure_shows_the_last_frames_and_what_containers_said(
    pytester: pytest.Pytester, docker: FakeDocker, capture: FakeCapture
) -> None:
    capture.give(
        *(Frame(time_ns(), "bus", "host", number, b"\x01") for number in range(41)),
        Frame(time_ns(), "bus", "wire", 0x20000040, bytes(8)),
        Frame(time_ns(), "bus", "ecu1", 0x18FEF100 | 0x80000000, bytes(12), 1),
    )
    capture.lost = {("bus", "wire"): 7}
    log = "".join(f"line {n}\n" for n in range(30)) + "\x1b[31mbroken\n"
    docker.next.append(FakeContainer("", "1" * 64, status=3, log=log))
    said = _fails(
        pytester,
        """
        def test_it(bus):
            bus.run("my-ecu", name="ecu1")
            bus.expect(id=0x7ff, sender="ecu1", within=0)
        """,
    )
    lines = said.splitlines()
    at = next(n for n, line in enumerate(lines) if "CAN frames on bus" in line)
    assert lines[at + 1] == "the last 40 of 43 frames; seconds since the bus was there"
    last = [line.split(maxsplit=1)[1] for line in lines[at + 39 : at + 42]]
    assert last == [
        "host       028   [1]  01",
        "wire  20000040   [8]  00 00 00 00 00 00 00 00  bus-off",
        "ecu1  18FEF100  [12]  00 00 00 00 00 00 00 00 00 00 00 00",
    ]
    assert lines[at + 42].startswith("7 more frames came faster than they were read")
    assert "container ecu1" in lines[at + 43]
    assert lines[at + 44] == "it has ended with status 3"
    assert lines[at + 45] == "line 11"
    assert lines[at + 64] == "?[31mbroken"
    assert "E       AssertionError: no frame 7FF from ecu1 within 0 s" in lines
    assert "E         the container ecu1 has ended with status 3" in lines
    assert "monitor.py" not in said


def test_a_fixture_that_fails_shows_them_too(
    pytester: pytest.Pytester, docker: FakeDocker, capture: FakeCapture
) -> None:
    """What a test's own fixture did on the bus is as much a reason."""
    del docker
    capture.give(Frame(time_ns(), "bus", "host", 0x123, b"\x01"))
    said = _fails(
        pytester,
        """
        import pytest

        @pytest.fixture
        def ecu(bus):
            raise RuntimeError

        def test_it(ecu): pass
        """,
    )
    assert "host       123   [1]  01" in said


def test_a_bus_of_the_tests_own_fixture_is_shown_too(
    pytester: pytest.Pytester, docker: FakeDocker, capture: FakeCapture
) -> None:
    """Under its label."""
    del docker
    capture.give(Frame(time_ns(), "body", "host", 0x123, b"\x01"))
    said = _fails(
        pytester,
        """
        import pytest
        from canwharf.testing import Bus

        @pytest.fixture
        def body():
            with Bus(label="body") as made:
                yield made

        def test_it(body):
            assert body.expect().bus == body.send(0x5).bus == "body"
            assert False

        def test_that_passes():
            from canwharf.testing.bus import OPEN
            assert OPEN == []
        """,
    )
    assert "CAN frames on body" in said
    assert "host       123   [1]  01" in said
    assert "1 failed, 1 passed" in said


def test_a_marker_gives_the_network_options(
    pytester: pytest.Pytester, docker: FakeDocker, capture: FakeCapture
) -> None:
    """A word that it does not have is told."""
    del capture
    said = _fails(
        pytester,
        """
        import pytest

        @pytest.mark.can_bus(option={})
        def test_a(bus): pass

        @pytest.mark.can_bus(options={"can.bandwidth": 125000})
        def test_b(bus): pass
        """,
    )
    assert (
        "the marker of the fixture bus: can_bus() got an unexpected keyword argument 'option'"
        in said
    )
    assert docker.options["options"]["can.bandwidth"] == "125000"
    assert docker.options["labels"]["canwharf.test"].endswith(".py::test_b")


class Response:
    """As much of Docker's answer as an error of its SDK has."""

    def __init__(self, status: int) -> None:
        self.status_code = status


TEST = "def test_it(bus): pass"
CANLAB = "'canlab --docker pytest' runs the tests where all of it is"


def _no_can(*_any: object) -> socket.socket:
    raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))


@pytest.fixture
def can(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel with CAN, as far as it is looked at."""
    monkeypatch.setattr(socket, "AF_CAN", socket.AF_UNIX)
    monkeypatch.setattr(socket, "CAN_RAW", 0)
    monkeypatch.setattr(socket, "SOCK_RAW", socket.SOCK_STREAM)


def test_without_can_it_says_what_to_do(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an error, and never as a test that was skipped."""
    monkeypatch.setattr(socket, "socket", _no_can)
    said = _fails(pytester, TEST)
    assert "this kernel has no CAN (Address family not supported by protocol)" in said
    assert CANLAB in said
    assert "During handling" not in said


@pytest.mark.usefixtures("can")
@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("unix:///nowhere/docker.sock", "Docker does not answer"),
        ("tcp://10.0.0.1:2375", "frames are seen only on the machine where it runs"),
    ],
)
def test_without_docker_it_says_what_to_do(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, host: str, words: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert words in _fails(pytester, TEST)


def test_without_dockers_sdk_it_names_the_extra(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    assert "pip install 'canwharf[test]'" in _fails(pytester, TEST)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, 'plugin "canwharf" not found'),
        (500, "dial unix /run/docker/plugins/canwharf.sock: connect: no such file or directory"),
    ],
)
def test_without_the_driver_it_says_what_to_do(
    pytester: pytest.Pytester, docker: FakeDocker, capture: FakeCapture, status: int, words: str
) -> None:
    """It was never there, or its daemon has been stopped."""
    del capture
    docker.refusal = APIError("refused", response=Response(status), explanation=words)
    said = _fails(pytester, TEST)
    assert f"Docker does not reach the driver canwharf ({words})" in said
    assert CANLAB in said


def test_an_option_that_is_refused_is_told_in_the_drivers_words(
    pytester: pytest.Pytester, docker: FakeDocker, capture: FakeCapture
) -> None:
    del capture
    docker.refusal = APIError("500", explanation="option can.bandwith=1: no such option")
    said = _fails(pytester, TEST)
    assert "Docker cannot make the network: option can.bandwith=1: no such option" in said


def test_what_docker_removes_itself_is_waited_for() -> None:
    """`auto_remove` is at work already: the network cannot be removed before it is done."""

    class Going(FakeContainer):
        def remove(self, force: bool, v: bool) -> None:
            del force, v
            raise APIError("409", response=Response(409), explanation="already in progress")

        def wait(self, condition: str) -> None:
            assert condition == "removed"
            self.removed = True

    docker = FakeDocker()
    docker.made["ecu1"] = going = Going("ecu1", "1" * 64)
    engine.remove_container(docker, "ecu1")
    assert going.removed
    engine.remove_container(docker, "what is gone is no error")


def test_a_network_is_removed_with_containers_of_others_on_it() -> None:
    """They go on without it."""
    docker = FakeDocker()
    docker.attrs["Containers"] = {"of compose": {}}
    docker.options["name"] = "net"
    engine.remove_network(docker, "net")
    assert (docker.disconnected, docker.network_gone) == (["of compose"], True)


def test_a_suite_that_asks_for_no_bus_pays_nothing() -> None:
    """Nothing of ours is imported, and nothing of Docker's."""
    program = (
        "import pytest, sys; before = {*sys.modules}; import canwharf.pytest_plugin; "
        "print(sorted({*sys.modules} - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['canwharf', 'canwharf.pytest_plugin']"
