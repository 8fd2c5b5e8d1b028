"""What a start and a call cost, counted: figures that no busy machine can change.

The times are measured by `make bench`.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import pytest

from canwharf.kernel import message, uapi
from canwharf.lean import Socket
from tests.kernel.site import Site
from tests.start import LIBRARY, OURS
from tests.world.container import Container

N = "n" * 64
ENTRY = "import sys; from canwharf.cli import main; sys.exit(main())"  # as pip writes it
# Of a Join: 36 or 37, by the suite. Three set and clear the alarm that ends a daemon that hangs,
# five open, check and close the container's namespace.
SYSTEM_CALLS = 37


class Caller(http.client.HTTPConnection):
    """The engine's side of a daemon's socket, which is there when the daemon says so."""

    def __init__(self, path: Path) -> None:
        super().__init__("driver", timeout=60)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(path))

    def send(self, data: object) -> None:
        """Head and body in one piece: whether the daemon reads them at once is not its cost."""
        assert isinstance(data, bytes)
        self._unsent += data

    def call(self, name: str, **fields: object) -> None:
        self._unsent = b""
        self.request("POST", f"/{name}", json.dumps(fields))
        self.sock.sendall(self._unsent)
        answer = json.loads(self.getresponse().read())
        assert "Err" not in answer, answer


@contextmanager
def serving(directory: Path, *before: str, python: tuple[str, ...] = ()) -> Iterator[Caller]:
    """A daemon of its own, started by these words; its end is waited for."""
    path = directory / "canwharf.sock"
    words = ["-c", ENTRY, "serve", "--socket", str(path), "--state-dir", str(directory / "state")]
    said = (directory / "said").open("w")
    child = subprocess.Popen(
        [*before, sys.executable, *python, *words], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    with said, child:
        for line in child.stderr:
            said.write(line)
            if "serving" in line:
                break
        try:
            caller = Caller(path)
            yield caller
            caller.close()
        finally:  # or a failure would never be seen: its end is waited for
            subprocess.run(["pkill", "-f", f"^{sys.executable}.*{path}"], check=True)
        for line in child.stderr:
            said.write(line)
    assert child.returncode in (0, -signal.SIGTERM), child.returncode


def imported(said: str) -> set[str]:
    """The modules of a report by -X importtime."""
    return {line.rpartition("|")[2].strip() for line in said.splitlines() if "import time:" in line}


def test_a_start_imports_what_it_uses(tmp_path: Path) -> None:
    """A board that boots a vehicle waits for each."""
    bare = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"], capture_output=True, check=True
    )
    with serving(tmp_path, python=("-X", "importtime")) as caller:
        caller.call("Plugin.Activate")
        caller.call("NetworkDriver.CreateNetwork", NetworkID=N, Options={})
        caller.call("NetworkDriver.CreateEndpoint", NetworkID=N, EndpointID="e1", Options={})
        with Container() as inside:
            ids = {"NetworkID": N, "EndpointID": "e1"}
            caller.call("NetworkDriver.Join", **ids, SandboxKey=inside.path)
    new = imported((tmp_path / "said").read_text()) - imported(bare.stderr.decode())
    assert "canwharf.bus.service" in new
    ours = {name for name in new if name.partition(".")[0] == "canwharf"}
    roots = {name.partition(".")[0] for name in new - ours}
    assert not {name for name in roots if not name.startswith("_")} - LIBRARY
    assert len(ours) <= OURS, sorted(ours)


class Counted:
    """A netlink socket that remembers what was sent."""

    def __init__(self, real: Socket) -> None:
        self._real = real
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return self._real.send(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def messages(self) -> list[message.Message]:
        """All the messages sent."""
        return [each for data in self.sent for each in message.decode(data)]


@pytest.fixture
def counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted(site.daemon.netlink._socket)
    monkeypatch.setattr(site.daemon.netlink, "_socket", counted)
    return counted


def test_a_join_costs_its_own_rules_and_a_leave_one_message(site: Site, counted: Counted) -> None:
    """However many are on the bus: no dump, no look at what is known.

    Two sends, and one, and as many messages.
    """
    site.network(N)
    for others in range(33):
        site.create(N, f"e{others}")
        counted.sent.clear()
        site.join_placed(N, f"e{others}")
        told = counted.messages()
        # the pair, a question for its index, its alias; clsact and two filters; three kinds of
        # frames to and from the bus interface and the hub
        assert len(told) == 3 + 3 + 12
        assert not [each for each in told if each.flags & uapi.NLM_F_DUMP == uapi.NLM_F_DUMP]
        assert len(counted.sent) == 2
    counted.sent.clear()
    site.service.leave(N, "e0")
    site.service.delete_endpoint(N, "e0")
    assert [each.type for each in counted.messages()] == [uapi.RTM_DELLINK]


def test_a_moved_interface_costs_a_question_more(site: Site, counted: Counted) -> None:
    """For its other end, which is on the host; and as many sends."""
    site.network(N)
    site.start(N, "e0", "e1")
    site.create(N, "e2")
    counted.sent.clear()
    site.join(N, "e2")
    assert len(counted.messages()) == 4 + 3 + 12
    assert len(counted.sent) == 2


def test_a_call_makes_as_many_system_calls_on_a_full_bus(tmp_path: Path) -> None:
    """Each is dear on a small board; a Join's number does not grow with the bus."""
    trace = tmp_path / "trace"
    # Without the clock, which is a system call in this kernel only.
    words = ("strace", "-e", "trace=!clock_gettime", "-o", str(trace))
    with ExitStack() as stack, serving(tmp_path, *words) as caller:
        caller.call("NetworkDriver.CreateNetwork", NetworkID=N, Options={})
        for number in range(20):
            inside = stack.enter_context(Container())
            ids = {"NetworkID": N, "EndpointID": f"e{number}"}
            caller.call("NetworkDriver.CreateEndpoint", **ids, Options={})
            caller.call("NetworkDriver.Join", **ids, SandboxKey=inside.path)
    calls = re.split(r'.*recvmsg\(\d+, .*"POST /NetworkDriver.', trace.read_text())
    joins = [each.count("\n") for each in calls if each.startswith("Join")]
    usual = joins[1:-1]  # the first looks at the kernel, the end of the daemon is in the last
    assert len(usual) == 18
    # An announcement that the kernel makes a little later costs a round more, now and then.
    few, many = median(usual[:9]), median(usual[9:])
    assert many <= SYSTEM_CALLS, joins
    assert many - few <= 1, joins
