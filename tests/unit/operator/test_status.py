"""`canwharf status`: what a person reads, as it is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from canwharf.bus.model import Port
from canwharf.bus.naming import BusOwner
from canwharf.bus.steps import MakeBus
from canwharf.cli import main
from canwharf.daemon.instance import usual
from canwharf.docker import names
from canwharf.errors import CanwharfError
from canwharf.kernel import hardware, namespace, uapi
from canwharf.kernel.can import Controller
from canwharf.kernel.message import Message
from canwharf.kernel.request import Request
from canwharf.operator import collect
from canwharf.operator.render import terminal, text
from canwharf.operator.render.json import to_dict
from canwharf.operator.status import Status
from tests import REPOSITORY
from tests.fake.daemon import Daemon
from tests.fake.kernel import FakeKernel
from tests.fake.runtime import Runtime
from tests.unit.operator.seen import NAMES, seen


def shown(status: Status) -> str:
    return text.render(status, terminal.plain)


def test_whose_a_container_of_podman_is(busy: Daemon, kernel: FakeKernel) -> None:
    """Docker does not know it: its name and its network's are in the ids."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(namespace, "opened", kernel.opened)
        Runtime(busy).setup("web")
    lines = shown(seen(busy)).splitlines()
    assert "  networks: bus0, podman.drive" in lines
    assert [line.split()[:3] for line in lines if " web " in line] == [["└──", "web", "can0"]]


def test_a_bus_as_a_drawing(busy: Daemon) -> None:
    """The fake kernel has counted 7 frames for each rule."""
    one, two = busy.port("n1", "e1"), busy.port("n1", "e2")
    assert shown(seen(busy)) == (
        "canwharf: the daemon runs (process 412)\n"
        "\n"
        "vcan0  virtual, up, CAN FD\n"
        "  networks: bus0\n"
        "  ├── host  vcan0                   sent 21  received 42  dropped 0\n"
        f"  ├── ecu1  can0   {one}  sent 21  received 42  dropped 0\n"
        f"  └── ecu2  can0   {two}  sent 21  received 42  dropped 0\n"
        "  all members are connected"
    )


def test_the_gateway_is_asked_once(
    busy: Daemon, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus of 100 has 30000 rules, and what is shown and what differs are of the same moment."""
    asked: list[int] = []

    def dump(request: Request) -> list[Message]:
        asked.append(request.type)
        return FakeKernel.dump(kernel, request)

    monkeypatch.setattr(kernel, "dump", dump)
    monkeypatch.setattr(collect, "Store", lambda _directory: busy.store)
    monkeypatch.setattr(names, "ask", lambda _driver: NAMES)
    found = collect.collect(usual("canwharf"), kernel)
    assert asked.count(uapi.RTM_GETROUTE) == 1
    assert [each.healthy for each in found.reports] == [True]


def test_delivery_errors_and_differences_are_reported(busy: Daemon, kernel: FakeKernel) -> None:
    """And as what `canwharf sync` would do about it."""
    one, two = busy.port("n1", "e1"), busy.port("n1", "e2")
    entry, _exit = busy.hub("vcan0")
    ends = kernel.link(one).index, kernel.link(entry).index
    kernel.rules = [rule for rule in kernel.rules if (rule.source, rule.destination) != ends]
    kernel.add_rule("vcan0", two)
    kernel.add_link("can7", mtu=16)
    kernel.add_rule("can7", "vcan0", flags=0)
    told = shown(seen(busy)).splitlines()
    assert told[-7:] == [
        "  frames from host reach ecu2 more than once (classic)",
        "  no frames from ecu1 reach the other containers (classic, FD, error frames)",
        "  a foreign gateway rule: can7 -> vcan0",
        "",
        "differs from what should be; 'canwharf sync' would:",
        f"  delete duplicate gateway rule vcan0 -> {two} (classic)",
        f"  add gateway rule {one} -> {entry} (classic, FD, error frames)",
    ]
    assert "all members are connected" not in told


def test_containers_that_have_no_interface_yet(busy: Daemon, kernel: FakeKernel) -> None:
    """After a reboot: Docker has not started them, or they stand still."""
    busy.service.create_endpoint("n1", "e3" * 32, {})
    kernel.kill_namespace("e2")
    told = shown(seen(busy))
    three = busy.port("n1", "e3" * 32)
    assert f"  └── endpoint {('e3' * 32)[:12]}  no interface  {three}\n" in told
    assert "ecu2                   no interface" in told
    assert "all members are connected" not in told
    assert "ecu2 is not connected: it has no interface" in told


def test_an_adapter(daemon: Daemon, kernel: FakeKernel) -> None:
    """Its driver and place, rates, state and error counters: what one asks first."""
    kernel.add_link("can0", "can", mtu=72)
    daemon.service.create_network("n2", {"can.interface": "can0"})
    controller = Controller(2, bitrate=500000, dbitrate=2000000, errors=(128, 3))
    told = shown(seen(daemon, None, controller, {"can0": ("mcp251xfd", "spi0.0")}))
    assert told.splitlines()[0] == (
        "canwharf: the daemon runs (process 412); Docker does not answer, so ids are shown"
    )
    assert told.splitlines()[2] == (
        "can0  adapter, mcp251xfd at spi0.0, up, CAN FD, 500000 bit/s, data 2000000 bit/s, "
        "ERROR-PASSIVE, errors: sending 128, receiving 3"
    )
    daemon.run_container("n2", "e1")
    assert "  all members are connected" in shown(seen(daemon, None, controller))
    off = shown(seen(daemon, None, Controller(3)))
    assert off.endswith("  nothing goes to or from can0: it is BUS-OFF")
    kernel.set_up("can0", up=False)
    assert "  nothing goes to or from can0: it is down" in shown(seen(daemon, None, Controller(4)))
    kernel.delete_link("can0")
    told = shown(seen(daemon))
    assert "can0  missing" in told
    assert "the adapter is missing, waiting for it" in told


def test_nothing_there(daemon: Daemon) -> None:
    assert shown(seen(daemon)) == "canwharf: the daemon runs (process 412); there is no bus"
    lost = Status("canwharf", stored=False, names=NAMES)
    assert shown(lost) == ("canwharf: the daemon does not run; no network was ever created here")


def test_one_bus_of_several(busy: Daemon, kernel: FakeKernel) -> None:
    """By its interface, or a network's name or id; its differences alone."""
    busy.service.create_network("n2", {"can.interface": "vcan1"})
    kernel.set_up("vcan1", up=False)
    status = seen(busy)
    for name in ("vcan1", "powertrain", "n2"):
        (report,) = status.only(name).reports
        assert report.interface == "vcan1"
    assert [each.line for each in status.only("vcan1").changes] == [
        "bring up and name interface vcan1"
    ]
    assert status.only("bus0").changes == []
    with pytest.raises(CanwharfError, match=r"no bus nope; there are: vcan0, vcan1$"):
        status.only("nope")
    with pytest.raises(CanwharfError, match=r"vcan1; Docker does not answer, so its names"):
        seen(busy, None).only("bus0")  # it would look as if the network were gone


def test_colours_say_what_the_words_say(busy: Daemon) -> None:
    """Without them it is the same text."""
    status = seen(busy)
    colours = text.render(status, terminal.colored)
    assert "\033[32mall members are connected\033[0m" in colours
    for code in (terminal.GOOD, terminal.BAD, terminal.DOUBTFUL, terminal.STRONG, terminal.FAINT):
        colours = colours.replace(f"\033[{code}m", "")
    assert colours.replace("\033[0m", "") == shown(status)


def test_a_terminal_without_lines(busy: Daemon) -> None:
    text.ascii_only(shown(seen(busy))).encode("ascii")


def test_a_name_that_would_move_the_cursor_is_seen_instead(busy: Daemon) -> None:
    """A container that may rename its interface does not write to the operator's terminal."""
    (report,) = seen(busy).reports
    members = [
        each._replace(container_link=each.container_link._replace(name="a\033[2J\u202e"))
        for each in report.members
        if each.container_link
    ]
    hostile = report._replace(members=(report.members[0], *members))
    told = shown(
        seen(busy)._replace(
            reports=(hostile,), steps=(MakeBus(Port("a\nb", BusOwner("canwharf"))),)
        )
    )
    assert "├── ecu1  a?[2J?  cwh" in told
    assert "  make bus interface a?b" in told
    assert all(each.isprintable() or each == "\n" for each in told)
    text.ascii_only("\ufffd").encode("ascii")


@pytest.mark.parametrize(
    ("attended", "environment", "expected"),
    [
        (True, {"TERM": "linux"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "linux", "NO_COLOR": "1"}, False),
        (False, {"TERM": "linux"}, False),
    ],
)
def test_where_colours_go(attended: bool, environment: dict[str, str], expected: bool) -> None:
    """Not into a file, nor to a terminal that would show their codes."""
    assert (terminal.color(attended, environment) is terminal.colored) == expected


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 200])
@pytest.mark.parametrize("color", [terminal.plain, terminal.colored])
def test_a_narrow_terminal(
    busy: Daemon, kernel: FakeKernel, columns: int, color: terminal.Color
) -> None:
    """Nothing is cut, and a counter stays beside its name; where there is room it is the table."""
    kernel.rules.pop()
    busy.service.create_endpoint("n1", "e3" * 32, {})
    status = seen(busy, NAMES._replace(containers={"e1": "a-project-name-of-many-words_ecu1"}))
    code = re.compile("\033\\[\\d*m")
    told = code.sub("", text.render(status, color, columns))
    lines = told.split("\n")
    assert max(map(len, lines)) <= columns
    wide = shown(status)
    kept = re.compile(r"[\s├└─│]+")
    assert kept.sub("", told) == kept.sub("", wide)
    if columns >= 40:
        assert told.count("dropped 0") == wide.count("dropped 0") > 1
    assert (told == wide) == (columns == 200)


def test_a_member_on_40_columns(busy: Daemon) -> None:
    """As on a telephone, or in half a window."""
    one, two = busy.port("n1", "e1"), busy.port("n1", "e2")
    assert text.render(seen(busy), terminal.plain, 40) == (
        "canwharf: the daemon runs (process 412)\n"
        "\n"
        "vcan0  virtual, up, CAN FD\n"
        "  networks: bus0\n"
        "  ├── host  vcan0  sent 21  received 42\n"
        "  │     dropped 0\n"
        f"  ├── ecu1  can0  {one}\n"
        "  │     sent 21  received 42  dropped 0\n"
        f"  └── ecu2  can0  {two}\n"
        "        sent 21  received 42  dropped 0\n"
        "  all members are connected"
    )


@pytest.mark.parametrize("columns", ["40", ""])
def test_what_is_no_terminal_gets_whole_lines_unless_it_says_how_wide_it_is(
    columns: str, busy: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`canwharf status | grep ecu1` finds its counters; `watch canwharf status` is legible."""
    shown_status = seen(busy)
    monkeypatch.setattr("canwharf.cli.status.collect", lambda *_arguments: shown_status)
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert told == text.render(shown_status, terminal.plain, int(columns or 0)) + "\n"
    assert (max(map(len, told.splitlines())) > 40) == (not columns)


def test_a_screen_that_is_too_small(busy: Daemon) -> None:
    """What is watched stays in its place: the top of it, and a word that there is more."""
    words = text.render(seen(busy), terminal.colored)
    assert terminal.fit(words, 80, 24) == words
    *lines, last = terminal.fit(words, 80, 5).split("\n")
    assert lines == words.split("\n")[:4]
    assert last == "... 4 more lines"
    narrow = terminal.fit(words, 30, 5).split("\n")  # the first line takes two of these
    assert narrow[:-1] == words.split("\n")[:3]
    assert terminal.fit(words, 10, 1) == "... 8 more lines"


def test_for_machines(busy: Daemon, kernel: FakeKernel) -> None:
    """All of the same, and each direction with its counters."""
    told = json.loads(json.dumps(to_dict(seen(busy))))
    assert told["daemon"] == {"running": True, "pid": 412}
    (bus,) = told["buses"]
    assert bus["networks"] == [{"id": "n1", "name": "bus0"}]
    assert bus["link"] == {"kind": "vcan", "up": True, "mtu": 72, "fd": True}
    assert [each["name"] for each in bus["members"]] == ["host", "ecu1", "ecu2"]
    assert bus["members"][1]["container_interface"] == "can0"
    entry, leaving = busy.hub("vcan0")
    assert (bus["shape"], bus["hub"]) == ("linear", {"in": entry, "out": leaving})
    assert bus["missing_modules"] == []
    assert len(bus["directions"]) == 2 * 4, "of each container with the host and with the hub"
    assert bus["directions"][0]["frames_forwarded"] == 21
    assert (bus["healthy"], told["sync"]["changes"]) == (True, [])
    kernel.rules.clear()
    told = to_dict(seen(busy))
    assert told["sync"]["changes"]  # type: ignore[index]
    assert len(told["buses"][0]["delivery_errors"]) == 2 * 4 * 3  # type: ignore[index]


def _fields(value: object) -> set[str]:
    """The names of all fields, but those of `rules`, which are kinds of frames."""
    if isinstance(value, list):
        return set().union(*map(_fields, value))
    if not isinstance(value, dict):
        return set()
    within = [_fields(each) for name, each in value.items() if name != "rules"]
    return set(value).union(*within)


def test_what_machines_read_is_documented(busy: Daemon, kernel: FakeKernel) -> None:
    """Whoever writes a program for it finds each field in docs/status.md."""
    kernel.add_link("can0", "can")
    busy.service.create_network("n2", {"can.interface": "can0"})
    kernel.add_rule("can0", "vcan0")
    kernel.rules.pop()
    status = seen(busy, NAMES, Controller(0), {"can0": ("mcp251xfd", "spi0.0")})
    told = to_dict(status)
    fields = _fields(told)
    assert {"delivery_errors", "error", "within_bus", "device", "bus_off"} <= fields
    page = (REPOSITORY / "docs/status.md").read_text(encoding="utf-8")
    missing = {each for each in fields if f"`{each}`" not in page}
    assert not missing


def test_the_driver_of_an_adapter(tmp_path: Path) -> None:
    """As sysfs has it; nothing for what is virtual."""
    device = tmp_path / "devices/spi0.0"
    driver = tmp_path / "drivers/mcp251xfd"
    for each in (device, driver, tmp_path / "net/can0", tmp_path / "net/vcan0"):
        each.mkdir(parents=True)
    (device / "driver").symlink_to(driver)
    (tmp_path / "net/can0/device").symlink_to(device)
    net = str(tmp_path / "net")
    assert hardware.driver_of("can0", net) == ("mcp251xfd", "spi0.0")
    assert hardware.driver_of("vcan0", net) == ("", "")
    assert hardware.driver_of("none", net) == ("", "")


def test_a_state_that_cannot_be_written_is_reported_at_once(busy: Daemon) -> None:
    """No container could join, however well the buses look."""
    fault = "cannot write /var/lib/canwharf/state.json: Read-only file system"
    status = seen(busy)._replace(write_fault=fault)
    assert shown(status).splitlines()[1] == fault
    assert to_dict(status)["state_write_error"] == fault
    assert to_dict(seen(busy))["state_write_error"] is None
