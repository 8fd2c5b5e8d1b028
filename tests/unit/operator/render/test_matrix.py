"""The matrix as its readers get it: nothing from outside is more than text."""

from __future__ import annotations

import csv
from xml.etree import ElementTree as ET

import pytest

from canwharf.frames.frame import Frame
from canwharf.frames.matrix import Matrix, Node, matrix
from canwharf.frames.statistics import Statistics
from canwharf.operator.render.matrix import table, text
from canwharf.operator.render.matrix_html import MOST, page, picture

MS = 1_000_000
EFF, ERR = 0x80000000, 0x20000000
EVIL = "=cmd|'<script>alert(1)</script>\x1b[2J"


def made(*frames: Frame, nodes: tuple[Node, ...] = ()) -> Matrix:
    statistics = Statistics()
    statistics.take(frames)
    return matrix(
        "drive.log", statistics, nodes, lambda can_id: "Engine" if can_id == 0x123 else ""
    )


@pytest.fixture(name="drive")
def _drive() -> Matrix:
    start = 1_700_000_000_000 * MS
    frames = [
        Frame(start + each * 10 * MS, "bus0", "ecu1", 0x123, bytes(each + 1)) for each in range(3)
    ]
    other = Frame(start + 5 * MS, "bus0", "ecu2", 0x123, b"")
    long = Frame(start, "bus0", "ecu2", 0x18FEF100 | EFF, bytes(12), 1)
    error = Frame(start, "bus0", "wire", 0x40 | ERR, bytes(8))
    return made(*frames, other, long, error, nodes=(Node("bus0", "ecu3"), Node("bus1", "ecu4")))


def test_text(drive: Matrix) -> None:
    assert text(drive._replace(lost=7, left_out=8)).splitlines()[:10] == [
        "Who sends what",
        "made from drive.log, 0.0 s from 2023-11-14 22:13:20 UTC on: 2 ids of 2 senders, 5 frames",
        "",
        "bus0",
        (
            "  id        message  sender  receivers   period   jitter    length  kind     frames  "
            "also sent by"
        ),
        "  123       Engine   ecu1    ecu2, ecu3  10.0 ms  0.000 ms  1-3     classic  3       ecu2",
        "  123       Engine   ecu2    ecu1, ecu3                     0       classic  1       ecu1",
        "  18FEF100           ecu2    ecu1, ecu3                     12      FD, BRS  1",
        "",
        "bus1",
    ]


@pytest.mark.parametrize(
    "said",
    [
        "bus0 had 1 error frames.",
        "7 frames came too fast",
        "8 frames are missing here: there were too many ids",
        "CAN does not tell which node read a frame",
        "each id must have one sender",
    ],
)
def test_what_a_reader_must_know_is_said(drive: Matrix, said: str) -> None:
    whole = drive._replace(lost=7, left_out=8)
    assert said in text(whole)
    assert said in page(whole)


def test_csv(drive: Matrix) -> None:
    rows = list(csv.DictReader(table(drive).splitlines()))
    assert [
        (each["id"], each["extended"], each["sender"], each["receivers"], each["also_sent_by"])
        for each in rows
    ] == [
        ("123", "no", "ecu1", "ecu2;ecu3", "ecu2"),
        ("123", "no", "ecu2", "ecu1;ecu3", "ecu1"),
        ("18FEF100", "yes", "ecu2", "ecu1;ecu3", ""),
    ]
    assert (rows[0]["period_ms"], rows[0]["jitter_ms"], rows[1]["period_ms"]) == (
        *("10.000", "0.000", ""),
    )
    assert (rows[0]["length_min"], rows[0]["length_max"], rows[2]["kind"]) == ("1", "3", "FD, BRS")


def test_a_name_is_never_more_than_text() -> None:
    """No mark-up, no formula, no control character: a recording may have any name."""
    found = made(Frame(0, EVIL, EVIL, 1, b""), Frame(0, EVIL, "ecu2", 1, b""))
    whole = page(found._replace(origin=EVIL))
    assert "<script" not in whole
    assert "\x1b" not in whole + text(found) + table(found)
    (first, _second) = csv.DictReader(table(found).splitlines())
    assert (first["bus"][:2], first["sender"][:2]) == ("'=", "'=")


def test_the_picture_shows_who_sends_and_who_may_receive(drive: Matrix) -> None:
    lines = [each for each in drive.lines if each.bus == "bus0"]
    drawn = ET.fromstring(picture(drive.nodes["bus0"], lines))
    circles = [each for each in drawn.iter() if each.tag.endswith("circle")][:-3]  # a legend
    assert [each.get("fill") for each in circles] == [
        *("#c1121f", "#c1121f", "#fff"),  # 123: both of its senders are red
        *("#fff", "#1a5fb4", "#fff"),
    ]
    words = [each.text for each in drawn.iter() if each.tag.endswith("text")]
    assert {"123 Engine", "18FEF100", "ecu1", "ecu2", "ecu3"} <= set(words)


def test_of_very_many_ids_the_table_has_all() -> None:
    whole = page(made(*(Frame(each, "bus0", "ecu1", each, b"") for each in range(MOST + 5))))
    assert whole.count("<tr>") == MOST + 5 + 1
    assert f"The picture has the first {MOST} ids, the table has all." in whole


def test_without_a_frame() -> None:
    found = made(nodes=(Node("bus0", "ecu1"),))
    assert "made from drive.log: no frames" in text(found)
    assert "no frames" in page(found)
    assert len(table(found).splitlines()) == 1
