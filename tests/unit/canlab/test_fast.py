"""The guest's end starts fast: what it imports is small."""

from __future__ import annotations

import subprocess
import sys

from tests.canlab.caller import SOURCE

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import canlab.guest.agent
print(*sys.modules)
"""
SLOW = {"typing", "re", "subprocess", "json", "argparse", "dataclasses", "pathlib", "tempfile"}


def test_the_guests_end_imports_nothing_slow() -> None:
    """`typing` alone costs 30 ms there, of each run."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(SOURCE)]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "canlab.mux" in loaded
    assert SLOW.intersection(loaded) == set()
