"""The parts of the lab that need no guest: its tables, its cache, and its line."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cache
from lab.channel import Channel
from lab.errors import CommandFailed, CommandTimeout, GuestDied, LabError
from lab.suites import FALLBACK_MIRROR, mirror, suite_named
from tests import REPOSITORY

DEB822 = """\
# a comment
Types: deb
URIs: https://download.example.com/linux/debian
Suites: bookworm
Components: stable

Types: deb deb-src
URIs: http://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@pytest.fixture
def line() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel to an agent in a process of its own, and the agent's end of the line."""
    here, there = socket.socketpair()
    code = f"from lab.agent import Agent; Agent({there.fileno()}).serve()"
    agent = subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=[there.fileno()], cwd=REPOSITORY
    )
    channel = Channel(here, lambda when: GuestDied(f"died {when}"))
    assert channel.ready(10)
    yield channel, there
    agent.kill()
    agent.wait()
    channel.close()
    there.close()


@pytest.mark.parametrize(
    ("name", "text", "uri"),
    [
        ("sources.list", "deb http://a.example/debian trixie main\n", "http://a.example/debian"),
        (
            "sources.list",
            "deb [arch=amd64 signed-by=/k.gpg] https://b.example/debian/ sid main contrib\n",
            "https://b.example/debian",
        ),
        ("sources.list", "deb http://archive.ubuntu.com/ubuntu noble main\n", FALLBACK_MIRROR),
        ("sources.list.d/debian.sources", DEB822, "http://mirror.example.org/debian"),
        (
            "sources.list.d/debian.sources",
            DEB822.replace("Components: main", "Components: main\nEnabled: no"),
            FALLBACK_MIRROR,
        ),
    ],
)
def test_the_mirror_is_the_machines_own(tmp_path: Path, name: str, text: str, uri: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert mirror(tmp_path) == uri


def test_an_unknown_suite_is_answered_with_those_there_are() -> None:
    with pytest.raises(LabError, match="trixie, bookworm, sid"):
        suite_named("woody")


def test_a_cache_entry_is_made_once_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANWHARF_LAB", str(tmp_path))

    def fail(path: Path) -> None:
        path.write_text("half")
        raise LabError("no")

    with pytest.raises(LabError, match="no"):
        cache.entry("thing", "a thing", fail, lambda _: None)
    assert not list(tmp_path.glob("thing*[!k]"))  # nothing but the lock
    made = cache.entry("thing", "a thing", lambda path: void(path.write_text("x")), lambda _: None)
    assert made.read_text() == "x"
    assert cache.entry("thing", "a thing", fail, lambda _: None) == made


def void(_: object) -> None:
    return None


def test_output_and_status_come_back(line: tuple[Channel, socket.socket]) -> None:
    channel, _ = line
    process = channel.start("echo out; echo err >&2; exit 3")
    with pytest.raises(CommandFailed, match="exit status 3") as caught:
        process.wait(10)
    assert (caught.value.status, caught.value.stdout, caught.value.stderr) == (3, "out\n", "err\n")
    assert process.wait(10, check=False).status == 3
    assert channel.start("kill -9 $$").wait(10, check=False).status == 137
    assert channel.start(["/nonesuch"]).wait(10, check=False).status == 127


def test_megabytes_pass_both_ways(line: tuple[Channel, socket.socket]) -> None:
    channel, _ = line
    process = channel.start(["cat"], input=True)
    text = "0123456789abcdef" * 100_000
    process.write(text.encode())
    process.write(b"")
    assert process.wait(30).stdout == text


def test_a_timeout_kills_and_keeps_the_output(line: tuple[Channel, socket.socket]) -> None:
    channel, _ = line
    process = channel.start("echo begun; sleep 60")
    with pytest.raises(CommandTimeout) as caught:
        process.wait(0.3)
    assert caught.value.stdout == "begun\n"
    assert not process.running


def test_a_hung_command_does_not_block_others(line: tuple[Channel, socket.socket]) -> None:
    channel, _ = line
    hung = channel.start("echo up; sleep 60")
    hung.wait_for("up")
    assert channel.start("echo here").wait(10).stdout == "here\n"
    assert hung.running
    hung.kill()
    assert hung.wait(10, check=False).status == 137


def test_what_stays_in_the_background_is_not_waited_for(
    line: tuple[Channel, socket.socket],
) -> None:
    channel, _ = line
    done = channel.start("sleep 3 & echo left").wait(2.5)
    assert done.stdout == "left\n"


def test_waiting_for_words_that_do_not_come(line: tuple[Channel, socket.socket]) -> None:
    channel, _ = line
    with pytest.raises(CommandFailed):
        channel.start("echo no; exit 0").wait_for("yes", 10)
    with pytest.raises(CommandTimeout):
        channel.start("sleep 60").wait_for("yes", 0.2)


def test_the_end_of_the_line_is_the_guests_death(line: tuple[Channel, socket.socket]) -> None:
    channel, there = line
    process = channel.start("sleep 1")
    there.shutdown(socket.SHUT_RDWR)
    with pytest.raises(GuestDied, match="while it ran: sleep 1"):
        process.wait(10)
    with pytest.raises(GuestDied):
        channel.start("true").wait(10)
    assert not channel.alive
