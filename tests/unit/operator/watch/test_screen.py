"""The screen as its user sees it and by its keys, in a terminal that textual plays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from canwharf.errors import KernelError
from canwharf.frames.buses import BusFacts
from canwharf.frames.elsewhere import HostFacts
from canwharf.frames.frame import Frame
from canwharf.frames.matrix import Node
from canwharf.operator.watch.reading import Reading
from canwharf.operator.watch.screen import Watch
from tests import REPOSITORY
from tests.unit.operator.watch.fake import (
    BUS0,
    Fed,
    decoder,
    drive,
    page,
    pictures,
    reading,
    seen,
    text,
)


def rows(picture: str) -> list[str]:
    """The ids and senders in the table, from the top."""
    found = []
    for line in text(picture).splitlines():
        words = line[28:].lstrip(" !*").split()
        if len(words) > 3 and words[1] in ("engine", "brakes", "gateway", "wire"):
            found.append(f"{words[0]} {words[1]}")
    return found


ALL = ["0C9 engine", "123 engine", "123 gateway", "1A0 brakes", "700 wire", "18FEF100 engine"]


def test_what_is_seen_at_once() -> None:
    picture = seen(reading())
    shown = text(picture)
    assert rows(picture) == ALL
    for words in (
        *(
            "bus0  275/s 6 %",
            "engine  210/s 5 %",
            "2 error frames",
            "0C9 engine          200   10.00",
        ),
        *("275 frames/s", "0 lost", "q quit"),
    ):
        assert words in shown, shown


def test_before_there_is_a_bus() -> None:
    assert "there is no bus yet" in text(seen(Reading(Fed(), dict), size=(40, 24)))


def test_40_columns_are_enough() -> None:
    shown = text(seen(reading(), size=(40, 24)))
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 40
    for words in ("bus0  275/s 6 %", "brakes  50/s 1 %", "123 engine", "10.00", "C7 1C", "0 lost"):
        assert words in shown, shown


def test_no_room_is_no_failure() -> None:
    assert seen(reading(), ("down", "pagedown", "end", "home"), (10, 3))


def test_two_senders_of_an_id_are_marked_and_named() -> None:
    shown = text(seen(reading(), ("down",)))
    assert "!       123 engine" in shown
    assert "123 is also sent by gateway" in shown


def test_keys_say_which_rows_are_shown() -> None:
    by_sender = ["1A0 brakes", "0C9 engine", "123 engine", "18FEF100 engine", ALL[2], ALL[4]]
    steps: list[tuple[tuple[str, ...], list[str]]] = [
        ((), ALL),
        (("s",), by_sender),
        (("s", "s", "s"), ALL),
        (("end", "m"), [ALL[5], *ALL[:5]]),
        (("home", "m"), ALL),
        (("slash", *"12 eng", "enter"), ["123 engine"]),
        (("escape",), ALL),
        (("slash", *"zzz"), []),
        (("escape",), ALL),
        (("shift+tab", *["down"] * 4, "enter"), ["1A0 brakes"]),
        (("escape",), ALL),
    ]
    found = pictures(reading(), [keys for keys, _expected in steps])
    assert [rows(each) for each in found] == [expected for _keys, expected in steps]


def test_while_it_is_paused_all_is_counted_and_nothing_moves() -> None:
    of = reading()
    later = [drive(2000, 3000), [], []]
    shown = pictures(of, [("p",), (), ("p",)], then=lambda: of.take(later.pop(0)))
    assert ["paused" in each for each in map(text, shown)] == [True, True, False]
    counts = ["0C9 engine          200" in each for each in map(text, shown)]
    assert counts == [True, True, False]
    assert "0C9 engine          300" in text(shown[2])


def test_losses_and_too_many_ids_are_said() -> None:
    of = reading()
    of._statistics.left_out = 7
    of.losses = {("bus0", "engine"): 3, ("bus0", "brakes"): 2}
    shown = text(seen(of, size=(120, 30)))
    assert "5 lost" in shown
    assert "more than 20000 ids: 7 frames not shown" in shown


def test_other_hosts_and_what_is_wrong_with_them() -> None:
    """Each above its senders, with their sum, a difference of clocks, and losses in words."""
    of = reading()
    of.take([Frame(1, "bus0", f"b/{name}", 0x300, b"") for name in ("gate", "host", "gate")])
    of.look(2.0)
    of.hosts = {
        ("bus0", "b"): HostFacts(ahead=3_600_214_000_000, late=2, lost=3),
        ("bus0", "c"): HostFacts(there=False),
    }
    of.troubles = ["bus1: 'canwharf span' does not run"]
    shown = text(seen(of))
    tree = [line[:28].strip(" │├└") for line in shown.splitlines()]
    first = tree.index("b/  3/s 0 %")
    assert tree[first + 1 : first + 3] == ["clock +3600.214 s", "3 lost, 2 late"]
    assert [each.split()[0] for each in tree[first + 3 : first + 5]] == ["b/gate", "b/host"]
    assert tree.index("brakes  0/s 0 %") > first
    assert "c/  0/s 0 %  gone" in tree
    assert "bus1: 'canwharf span' does not run" in shown


def test_a_host_is_chosen_with_all_its_senders() -> None:
    of = reading()
    senders = ("b/engine", "b/wire", "bb/wire")
    of.take([Frame(1, "bus0", name, 0x300 + place, b"") for place, name in enumerate(senders)])
    of.hosts = {("bus0", "b"): HostFacts()}
    shown = text(seen(of, ("shift+tab", *["down"] * 4, "enter"), (120, 30)))
    assert "only bus0 b/" in shown
    assert "b/engine" in shown
    assert "b/wire" in shown
    assert "bb/wire" not in shown
    assert "0C9" not in shown


def test_a_bus_off_and_a_bus_without_a_limit() -> None:
    off = BUS0._replace(condition="bus-off")
    assert "bus-off, 500 kbit/s" in text(seen(reading(facts=off), size=(40, 24)))
    virtual = BUS0._replace(bitrate=0, condition="up")
    shown = text(seen(reading(facts=virtual)))
    assert "bus0  275/s\n" in shown.replace(" " * 5, "\n")
    assert "%" not in shown


def test_a_bus_that_goes_is_told_or_leaves_the_tree() -> None:
    """What sent frames stays, with its rows; a bus that had none goes, with its containers."""
    of = reading()
    quiet = BusFacts("bus1", (Node("bus1", "ecu9"),), condition="up")
    told = [{"bus0": BUS0, "bus1": quiet}, {}]

    def then() -> None:
        of.buses = told.pop(0)

    found = [text(each) for each in pictures(of, [(), ("s",)], then=then, slow=True)]
    assert ["ecu9  0/s" in each for each in found] == [True, False]
    assert ["bus1" in each for each in found] == [True, False]
    assert ["gone" in each for each in found] == [False, True]
    assert "engine  210/s" in found[1]


def test_signals_and_their_plot(tmp_path: Path) -> None:
    of = reading(decoder(tmp_path))
    signals, plotted = map(text, pictures(of, [("down",), ("tab", "down", "down", "enter")]))
    assert "Speed = 3683.5 rpm" in signals
    assert "Gear = first" in signals
    assert of.signal == (("bus0", 0x123, "engine"), "Gear")
    assert " of 123 from engine" in plotted


def test_it_records_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    of = reading()
    frames = drive(2000, 3000)
    parts = [frames, drive(3000, 3100)]
    begun, ended = pictures(of, [("r",), ("r",)], then=lambda: of.take(parts.pop(0)))
    assert "recording canwharf-" in text(begun)
    assert ".log is complete" in text(ended)
    (path,) = tmp_path.iterdir()
    assert len(path.read_text().splitlines()) == len(frames)


def test_a_recording_that_cannot_be_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    monkeypatch.chdir(directory)
    directory.rmdir()
    assert "cannot write canwharf-" in text(seen(reading(), ("r",)))


def test_a_name_is_never_more_than_text() -> None:
    """Neither mark-up of the library nor a control character of the terminal."""
    evil = "[red]\x1b[2J[/]"
    of = Reading(Fed(), dict)
    of.look(0.0)
    of.take([Frame(each, evil, evil, 0x123, bytes(each)) for each in range(4)])
    of.take([Frame(0, evil, "ecu2", 0x123, b"")])
    of.look(1.0)
    shown = text(seen(of))
    assert "[red]?[2J[/]  4/s" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("keys", [["q"], ["ctrl+c"]])
def test_its_user_ends_it(keys: list[str]) -> None:
    async def ended() -> bool:
        app = Watch(reading())
        async with app.run_test() as pilot:
            await pilot.press(*keys)
            return not app.is_running or app._exit

    assert asyncio.run(ended())


@pytest.mark.parametrize("how", ["signal", "failure"])
def test_a_signal_or_a_failure_of_the_reading_ends_it(how: str) -> None:
    of, signals = reading(), list[int]()

    async def ended() -> bool:
        app = Watch(of, signals)
        async with app.run_test() as pilot:
            if how == "signal":
                signals.append(15)
            else:
                of.failure = KernelError("read frames of", "bus0", 5)
            app.beat()
            await pilot.pause()
            return app._exit

    assert asyncio.run(ended())


def test_the_picture_of_the_page_is_what_is_seen(tmp_path: Path) -> None:
    """docs/watch.svg; fake.py says how it is made."""
    assert text((REPOSITORY / "docs/watch.svg").read_text()) == text(page(tmp_path))
