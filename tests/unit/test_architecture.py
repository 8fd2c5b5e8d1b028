"""docs/architecture.md: its walks name files and functions that there are."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src/canwharf"
WALKS = re.findall(
    r"^## ([^\n]*, walked down)\n.*?^```\n(.*?)^```",
    (REPOSITORY / "docs/architecture.md").read_text(),
    re.MULTILINE | re.DOTALL,
)


def _defined(file: str, function: str) -> bool:
    source = (SOURCE / file).read_text()
    return all(
        re.search(rf"^ *(def|class) {name}\b", source, re.MULTILINE) for name in function.split(".")
    )


def test_the_walks_name_functions_that_there_are() -> None:
    """A reader opens each of them."""
    assert len(WALKS) == 3
    for title, walk in WALKS:
        lines = walk.splitlines()
        assert 5 < len(lines) < 25, f"{title} is not on one screen"
        for line in lines:
            file, functions = line.split(maxsplit=1)
            for function in re.findall(r"[\w.]+(?:, [\w.]+)*", functions)[0].split(", "):
                assert _defined(file, function), line
