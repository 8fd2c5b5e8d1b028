"""Which frames of a recording of two hosts are played."""

from __future__ import annotations

from pathlib import Path

import pytest

from canwharf.cli.play import _Chosen
from canwharf.errors import RecordingError
from canwharf.frames.formats import Recording

LOG = """(1700000000.000000) bus0/ecu1 100#
(1700000000.010000) bus0/b/ecu1 101#
(1700000000.020000) bus0/b/endpoint%203f2a 102#
(1700000000.030000) bus0/bb/ecu1 103#
"""


@pytest.fixture(name="recording")
def _recording(tmp_path: Path) -> Recording:
    path = tmp_path / "drive.log"
    path.write_text(LOG)
    return Recording(str(path))


def chosen(recording: Recording, **words: str) -> list[int]:
    empty = dict.fromkeys(("without", "from", "map", "nodes", "recorded"), "")
    found = _Chosen(recording, {**empty, **words})
    return [frame.id for _due, frame in found.frames(again=False)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"without": "b/"}, [0x100, 0x103]),  # the real host b takes their place
        ({"from": "b/"}, [0x101, 0x102]),
        ({"without": "b/ecu1"}, [0x100, 0x102, 0x103]),
        ({"from": "ecu1"}, [0x100]),
        ({"from": "b/\nbb/ecu1", "without": "b/ecu1"}, [0x102, 0x103]),
        ({"from": "b/endpoint 3f2a"}, [0x102]),
    ],
)
def test_by_sender_or_by_host(
    recording: Recording, words: dict[str, str], expected: list[int]
) -> None:
    assert chosen(recording, **words) == expected


def test_a_host_that_sent_nothing_is_refused(recording: Recording) -> None:
    with pytest.raises(RecordingError, match="c/ sent nothing in it; there are: b/ecu1"):
        chosen(recording, without="c/")
    with pytest.raises(RecordingError, match="all that it has is left out"):
        chosen(recording, **{"from": "b/ecu1", "without": "b/"})
