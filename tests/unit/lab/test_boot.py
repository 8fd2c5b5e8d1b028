"""How a guest finds a way to boot: what is tried, what is remembered, and what a person is told."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from lab import cache
from lab.boot import Boot, Nic, Wiring, choose
from lab.boot.death import Failure, diagnosis
from lab.boot.own import Own
from lab.boot.uml import Uml
from lab.boot.uml_sid import UmlSid
from lab.cache import Report
from lab.errors import GuestDied, LabError
from lab.kernel import Kernel
from lab.suites import suite_named

TRIXIE, SID = suite_named("trixie"), suite_named("sid")

AMX_PANIC = """\
[    0.270000] Run /repo/lab/init as init process
[    0.270000] ptrace set fp regs failed, errno = 14
[    0.270000] Kernel panic - not syncing: Segfault with no mm
[    0.270000] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 6.12.48 #1
[    0.270000] Stack:
 60a8fb30 604b1a2c 00000000 00000000
"""


CONSOLES = {
    "dies": AMX_PANIC,
    "hangs": "[    0.1] a last word",
    "is killed": "[    0.1] random: crng init done\nKilled",
    "has no disk": "[    0.2] kvm-clock: using it\ninit: cannot mount the disk",
}


@dataclass
class Strategy:
    """A boot strategy that comes up, dies, hangs, or cannot be had."""

    name: str
    fate: str = "up"
    why_not: str | None = None
    what: str = "a kernel"
    suites_kernel: bool = True
    limit: float = 10.0
    hang_counts: bool = False
    patience: float = 1.0

    def obstacle(self) -> str | None:
        return self.why_not

    def command(self, wiring: Wiring, report: Report) -> list[str]:
        raise NotImplementedError(wiring, report)


@dataclass
class Machine:
    """A machine on which each strategy has its fate."""

    tried: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def boot(self) -> str:
        return choose.first_to_come_up(TRIXIE, self.attempt, self.told.append).name

    def attempt(self, boot: Boot) -> Failure | None:
        assert isinstance(boot, Strategy)
        self.tried.append(boot.name)
        if boot.fate == "up":
            return None
        if boot.fate == "missing":
            return Failure(boot, died=True, console="", missing="mmdebstrap failed for sid")
        return Failure(boot, boot.fate != "hangs", CONSOLES[boot.fate])


@pytest.fixture
def have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("CANWHARF_LAB", str(tmp_path))
    monkeypatch.delenv(choose.VARIABLE, raising=False)
    return monkeypatch


def strategies(have: pytest.MonkeyPatch, *boots: Strategy) -> None:
    have.setattr(choose, "AUTOMATIC", boots)
    have.setattr(choose, "BOOTS", {boot.name: boot for boot in boots})


def test_the_first_that_comes_up_is_used_and_nothing_is_said(have: pytest.MonkeyPatch) -> None:
    strategies(have, Strategy("one"), Strategy("two"))
    machine = Machine()
    assert (machine.boot(), machine.tried, machine.told) == ("one", ["one"], [])


def test_one_that_dies_is_told_and_the_next_is_remembered(have: pytest.MonkeyPatch) -> None:
    strategies(have, Strategy("one", "dies", what="its own kernel"), Strategy("two"))
    machine = Machine()
    assert machine.boot() == "two"
    assert "its own kernel (one) died" in machine.told[0]
    assert "ptrace set fp regs failed, errno = 14" in machine.told[0]
    assert "trying a kernel (two)" in machine.told[0]
    assert "from now on" in machine.told[1]
    again = Machine()
    assert (again.boot(), again.tried, again.told) == ("two", ["two"], [])


def test_what_is_remembered_is_for_its_suite_and_its_processor(
    have: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = Strategy("one", "dies")
    strategies(have, one, Strategy("two"))
    Machine().boot()
    assert [boot.name for boot in choose.candidates(SID)] == ["one", "two"]
    other = tmp_path / "cpuinfo"
    other.write_text("processor: 0\nflags\t\t: fpu vme amx_tile\n")
    have.setattr(choose, "CPUINFO", other)
    assert [boot.name for boot in choose.candidates(TRIXIE)] == ["one", "two"]


def test_a_guest_that_hangs_is_no_evidence(have: pytest.MonkeyPatch) -> None:
    strategies(have, Strategy("one", "hangs"), Strategy("two"))
    first = Machine()
    assert first.boot() == "two"
    assert "hung: it was not up after 10 s; its last word: a last word" in first.told[0]
    again = Machine()
    again.boot()
    assert again.tried == ["one", "two"]


def test_what_was_remembered_and_dies_is_forgotten(have: pytest.MonkeyPatch) -> None:
    one, two = Strategy("one", "dies"), Strategy("two")
    strategies(have, one, two)
    Machine().boot()
    one.fate, two.fate = "up", "dies"
    second, third = Machine(), Machine()
    assert (second.boot(), second.tried) == ("one", ["two", "one"])
    assert (third.boot(), third.tried) == ("one", ["one"])


def test_a_garbled_memory_is_no_memory(have: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strategies(have, Strategy("one"), Strategy("two"))
    for text in ("", "{", "[1]", '{"x": 1}', "null"):
        (tmp_path / "boots.json").write_text(text)
        assert Machine().boot() == "one"


def test_where_nothing_comes_up_each_is_told(have: pytest.MonkeyPatch) -> None:
    strategies(have, Strategy("one", "dies"), Strategy("two", "hangs"))
    with pytest.raises(GuestDied) as caught:
        Machine().boot()
    lines = str(caught.value).splitlines()
    assert lines[0] == "no trixie guest came up on this machine:"
    assert "(one) died before it was up" in lines[1]
    assert "(two) hung" in lines[2]


def test_a_guest_that_was_killed_is_no_evidence(have: pytest.MonkeyPatch) -> None:
    """The machine had no memory for a moment: the suite's own kernel is tried again next time."""
    one = Strategy("one", "is killed")
    strategies(have, one, Strategy("two"))
    Machine().boot()
    one.fate = "up"
    assert Machine().boot() == "one"


def test_a_guests_own_fault_ends_the_search(have: pytest.MonkeyPatch) -> None:
    """No other kernel fixes a disk; and nothing is installed for it."""
    strategies(have, Strategy("one", "has no disk"), Strategy("two"))
    machine = Machine()
    with pytest.raises(GuestDied, match="init gave up: init: cannot mount the disk"):
        machine.boot()
    assert (machine.tried, machine.told) == (["one"], [])


def test_what_cannot_be_made_is_passed_over(have: pytest.MonkeyPatch) -> None:
    """The archive of sid is out of reach; QEMU may be there."""
    strategies(have, Strategy("one", "dies"), Strategy("two", "missing"), Strategy("three"))
    machine = Machine()
    assert machine.boot() == "three"
    assert "(two) cannot be had here: mmdebstrap failed for sid; trying" in machine.told[1]
    again = Machine()
    again.boot()
    assert again.tried == ["one", "two", "three"]


def test_a_hang_that_is_an_answer_counts(have: pytest.MonkeyPatch) -> None:
    """A /dev/kvm that opens and then hangs costs its time once."""
    strategies(have, Strategy("kvm", "hangs", hang_counts=True), Strategy("two"))
    Machine().boot()
    again = Machine()
    again.boot()
    assert again.tried == ["two"]


def test_a_failure_of_all_forgets_nothing(have: pytest.MonkeyPatch) -> None:
    one, two = Strategy("one", "dies"), Strategy("two")
    strategies(have, one, two)
    Machine().boot()
    two.fate = "has no disk"
    with pytest.raises(GuestDied):
        Machine().boot()
    two.fate = "up"
    again = Machine()
    again.boot()
    assert again.tried == ["two"]


def test_a_cache_that_cannot_be_written_costs_no_guest(
    have: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    strategies(have, Strategy("one", "dies"), Strategy("two"))
    (tmp_path / "boots.json").mkdir()
    machine = Machine()
    assert machine.boot() == "two"
    assert "that cannot be kept" in machine.told[-1]


def test_machines_that_come_up_at_once_are_all_kept(
    have: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second waits until the first has written, and adds to what is there by then."""
    strategies(have, Strategy("one"))
    waits, told = threading.Event(), []

    def report(text: str) -> None:
        told.append(text)
        waits.set()

    with cache.locked(tmp_path / "boots.json.lock", "boots.json", print):
        second = threading.Thread(target=choose.remember, args=(SID, Strategy("one"), report))
        second.start()
        assert waits.wait(10)
        assert told == ["waiting for another process that writes boots.json"]
        (tmp_path / "boots.json").write_text('{"trixie here": "two"}')
    second.join(10)
    kept = json.loads((tmp_path / "boots.json").read_text())
    assert kept == {"trixie here": "two", choose._key(SID): "one"}


def test_what_is_out_of_the_question_is_not_tried(have: pytest.MonkeyPatch) -> None:
    strategies(have, Strategy("one", why_not="no such kernel"), Strategy("two"))
    machine = Machine()
    machine.boot()
    assert machine.tried == ["two"]
    strategies(have, Strategy("one", why_not="no such kernel"))
    with pytest.raises(LabError, match=r"one: no such kernel"):
        machine.boot()


def test_a_strategy_is_asked_for_by_argument_or_environment(have: pytest.MonkeyPatch) -> None:
    one, two = Strategy("one"), Strategy("two")
    strategies(have, one, two, Strategy("three", why_not="there is no /dev/kvm"))
    assert choose.requested() is None
    assert choose.requested("two") is two
    have.setenv(choose.VARIABLE, "one")
    assert choose.requested() is one
    assert choose.requested("two") is two
    have.setenv(choose.VARIABLE, "auto")
    assert choose.requested() is None
    with pytest.raises(LabError, match="'four'; there are auto, one, two, three"):
        choose.requested("four")
    have.setenv(choose.VARIABLE, "five")
    with pytest.raises(LabError, match=r"'five' \(from CANWHARF_BOOT\); there are"):
        choose.requested()
    with pytest.raises(LabError, match="by three here: there is no /dev/kvm"):
        choose.requested("three")


@pytest.mark.parametrize(
    ("console", "line", "meaning"),
    [
        (AMX_PANIC, "ptrace set fp regs failed, errno = 14", "AMX"),
        (
            "[ 0.1] Kernel panic - not syncing: VFS: Unable to mount root fs\n[ 0.1] Call Trace:",
            "Kernel panic - not syncing: VFS: Unable to mount root fs",
            "panicked",
        ),
        ("lots\ninit: cannot mount the disk\nmore", "init: cannot mount the disk", "gave up"),
        (
            "qemu-system-x86_64: could not access KVM kernel module: EPERM",
            "KVM",
            "KVM does not run",
        ),
        ("lseek64: Cannot allocate memory", "Cannot allocate memory", "no memory left"),
        ("Too few physical memory! Needed=201326592, given=4194304", "Too few", "more memory"),
        ("unshare: unshare failed: Operation not permitted", "unshare", "--privileged"),
        ("[ 0.1] systemd[1]: Detected virtualization kvm.\nbye", "bye", ""),
        ("modprobe: can: Cannot allocate memory\ninit: no module can", "no module can", "gave up"),
        ("one\ntwo\n\n", "two", ""),
        ("", "", ""),
    ],
)
def test_the_line_that_matters_is_found(console: str, line: str, meaning: str) -> None:
    found, means, _ = diagnosis(console)
    assert line in found
    assert meaning in means
    assert bool(means) == bool(meaning)


def wiring(*, systemd: bool = False) -> Wiring:
    return Wiring(
        suite=TRIXIE,
        root=Path("/cache/root"),
        repository=Path("/repository"),
        share=Path("/exchange"),
        disk=7,
        line=8,
        mem="2G",
        systemd=systemd,
    )


def test_the_suites_own_kernel_runs_in_the_suites_root() -> None:
    command = Uml().command(wiring(), print)
    assert command[2:6] == ["/cache/root", "/cache/root", "/repository", "/exchange"]
    assert {"rootflags=/", "ubd0=/proc/self/fd/7", "ssl0=fd:8", "lab_line=ttyS0"} <= {*command}
    assert "boot=systemd" not in command
    assert "boot=systemd" in Uml().command(wiring(systemd=True), print)


def test_sids_kernel_runs_in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.boot.uml_sid.ensure_kernel", lambda _report: Path("/cache/kernel"))
    command = UmlSid().command(wiring(), print)
    assert command[2:4] == ["/cache/kernel", "/cache/root"]
    assert {"rootflags=/mnt", "seccomp=on"} <= {*command}


def test_a_guest_with_a_cable_has_an_interface_and_one_without_has_none() -> None:
    plain = Uml().command(wiring(), print)
    nic = Nic(cable=9, mac="02:00:00:00:09:01", address="10.9.0.1/24", host="a")
    wired = Uml().command(replace(wiring(), nic=nic), print)
    assert {*wired} - {*plain} == {
        "vec0:transport=fd,fd=9,mac=02:00:00:00:09:01",
        *("lab_nic=vec0", "lab_address=10.9.0.1/24", "lab_host=a"),
    }
    assert not {*plain} - {*wired}


def test_the_labs_own_kernel_has_as_many_processors_as_its_name_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Kernel(Path("/cache/own"))
    monkeypatch.setattr("lab.boot.own.ensure_kernel", lambda _report: own)
    one, two = (choose.BOOTS[name].command(wiring(), print) for name in ("own", "own-smp"))
    assert one[2:4] == two[2:4] == ["/cache/own", "/cache/root"]
    assert {"rootflags=/mnt", "ncpus=1"} <= {*one}
    assert {"rootflags=/mnt", "ncpus=2"} <= {*two}
    assert not {"own", "own-smp"} & {boot.name for boot in choose.AUTOMATIC}
    nic = Nic(cable=9, mac="02:00:00:00:09:01", address="10.9.0.1/24", host="a")
    with pytest.raises(LabError, match="no Ethernet interface"):
        Own().command(replace(wiring(), nic=nic), print)


def test_no_user_mode_linux_is_tried_on_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert Uml().obstacle() == UmlSid().obstacle() == "there is no User-Mode Linux for aarch64"
