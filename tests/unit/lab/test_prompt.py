"""What can be said at the prompt of `python3 -m lab pair`, with hosts that only remember."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest

from lab import prompt, terminal
from lab.errors import CommandTimeout
from lab.prompt import Prompt


@dataclass
class Link:
    """A link of no one."""

    whole: bool = True

    def cut(self) -> None:
        self.whole = False

    def fix(self) -> None:
        self.whole = True


@dataclass
class Fake:
    """A host that only remembers."""

    name: str
    link: Link = field(default_factory=Link)
    alive: bool = True
    commands: list[str] = field(default_factory=list)

    def power_cut(self) -> None:
        self.alive = False

    def boot(self) -> None:
        self.alive = True


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    def run(host: Fake, command: str) -> int:
        host.commands.append(command)
        if command == "hang":
            raise CommandTimeout(1, command, "", "")
        return int(command) if command.isdecimal() else 0

    monkeypatch.setattr(terminal, "run", run)
    monkeypatch.setattr(prompt, "start_docker", lambda host: host.commands.append("docker"))
    return [Fake("a"), Fake("b")]


def script(hosts: list[Fake], text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return Prompt(hosts).run()  # type: ignore[arg-type]


def test_a_command_runs_in_its_host_as_it_was_written(
    hosts: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert script(hosts, "a ip  link | wc -l\n\n# no\nb 'x'", monkeypatch) == 0
    assert [host.commands for host in hosts] == [["ip  link | wc -l"], ["'x'"]]


def test_the_status_is_the_last_lines(hosts: list[Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    assert script(hosts, "a 3\nb 4", monkeypatch) == 4
    assert script(hosts, "a 3\nb 0", monkeypatch) == 0
    assert script(hosts, "a 3\nexit\nb 0", monkeypatch) == 3
    assert script(hosts, "", monkeypatch) == 0


def test_the_link_and_the_power(
    hosts: list[Fake], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script(hosts, "cut\npower-cut b", monkeypatch)
    assert not hosts[0].link.whole
    assert (hosts[0].alive, hosts[1].alive) == (True, False)
    assert script(hosts, "b ls", monkeypatch) == prompt.FAILED
    said = capsys.readouterr()
    assert "b is off: boot b" in said.out + said.err
    script(hosts, "fix\nboot b", monkeypatch)
    assert hosts[0].link.whole
    assert hosts[1].alive
    assert hosts[1].commands == ["docker"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("c ls", "c: neither a host nor a word"),
        ("cut b", "cut stands alone: what is 'b'?"),
        ("boot", "boot is for a host: a or b, not ''"),
        ("boot a b", "not 'a b'"),
        ("boot a", "a is on already"),
        ("power-cut c", "not 'c'"),
        ("a hang", "still running after 1 s"),
        ("a", "a shell needs a terminal"),
    ],
)
def test_what_goes_wrong_is_told_and_the_rest_is_done(
    hosts: list[Fake],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    told: str,
) -> None:
    assert script(hosts, f"{line}\n", monkeypatch) == prompt.FAILED
    said = capsys.readouterr()
    assert told in said.out + said.err
    assert script(hosts, f"{line}\nb 0", monkeypatch) == 0


def test_help_tells_every_word(hosts: list[Fake]) -> None:
    words = {words.split()[0] for words, _what in prompt.USAGE}
    made = Prompt(hosts)  # type: ignore[arg-type]
    assert words == {"HOST", "exit", *made._of_a_host, *made._others}
    assert all(word in prompt.usage() for word in words)
