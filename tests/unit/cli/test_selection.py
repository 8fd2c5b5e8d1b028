"""Which driver a verb looks at: `--driver-name`, `--socket`, `--state-dir`."""

from __future__ import annotations

import shlex

import pytest

from canwharf.cli import doctor, graph, install, main, selection, status, sync
from canwharf.cli.selection import Instance
from canwharf.daemon.instance import usual
from canwharf.operator.render import terminal, text
from canwharf.operator.service import units
from canwharf.operator.status import Status

LOOKING = ("status", "graph", "doctor", "sync")


def chosen(words: str) -> Instance:
    """By these words of a command line."""
    values = {row.name: row.default for row in selection.WHICH}
    given = shlex.split(words)
    values |= {word[2:]: value for word, value in zip(given[::2], given[1::2], strict=True)}
    return selection.of(values)


def test_all_verbs_that_look_take_the_name_and_the_paths() -> None:
    for verb in (status, graph, doctor, sync):
        assert set(selection.WHICH) <= set(verb.OPTIONS)


@pytest.mark.parametrize("driver", ["canwharf", "rustyvxcan", "wsovalle/vxcan:latest"])
def test_a_name_finds_what_install_made_of_it(driver: str) -> None:
    """Whoever installed a second driver by its name need not know where its files are."""
    instance = usual(driver)
    unit = units.files(instance, ["/opt/canwharf"])[units.path(instance.service)]
    found = chosen(f"--driver-name {driver}")
    assert f"serve --socket {found.socket} --state-dir {found.state}\n" in unit
    assert found.where == f" --driver-name {driver}"
    assert install.NAME.name == "driver-name"


def test_paths_win_over_what_the_name_would_say() -> None:
    """A daemon that somebody started by hand, elsewhere."""
    assert chosen("") == ("/run/docker/plugins/canwharf.sock", "/var/lib/canwharf", "")
    words = "--driver-name rusty --socket /run/docker/plugins/rusty/rusty.sock --state-dir '/a b'"
    assert chosen(words) == ("/run/docker/plugins/rusty/rusty.sock", "/a b", f" {words}")
    assert chosen("--driver-name rusty --state-dir /x").socket == "/run/docker/plugins/rusty.sock"
    assert chosen("--socket /tmp/rusty.sock").state == "/var/lib/canwharf"  # as serve has it


@pytest.mark.parametrize("verb", LOOKING)
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (
            "--driver-name rusty --socket /run/docker/plugins/canwharf.sock",
            2,
            "contradict each other, as that is the socket of the driver canwharf: leave one",
        ),
        ("--driver-name canwharf --socket /tmp/other.sock", 2, "socket of the driver other"),
        ("--driver-name ''", 1, "driver-name"),
        ("--driver-name ../x", 1, "driver-name=../x"),
        ("--socket ''", 1, "is no driver's name"),
    ],
)
def test_what_contradicts_itself_is_refused(
    verb: str, words: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is looked at: one of the two is not the driver that is meant."""
    assert main([verb, *shlex.split(words)]) == status
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert said in told.err


def test_the_command_that_is_named_is_for_the_same_driver(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`canwharf sync` alone would put another driver's buses right."""
    asked: list[tuple[str, str]] = []

    def look(socket: str, state: str, _requests: object) -> Status:
        asked.append((socket, state))
        return Status("rusty", adopted=("e1",))

    monkeypatch.setattr(status, "collect", look)
    assert main(["status", "--driver-name", "rusty"]) == 0
    assert "'canwharf sync --driver-name rusty' would:" in capsys.readouterr().out
    assert asked == [("/run/docker/plugins/rusty.sock", "/var/lib/canwharf-rusty")]
    assert "'canwharf sync' would:" in text.render(Status("x", adopted=("e1",)), terminal.plain)
