"""What the daemon's start imports, on this machine's Python; `tests/kernel` has a whole one."""

from __future__ import annotations

import subprocess
import sys

from tests import REPOSITORY
from tests.start import LIBRARY, OURS

LOADED = "import sys; print(*sys.modules)"


def loaded(code: str) -> set[str]:
    """The modules that this loads, in an interpreter as the service has it."""
    begin = f"import sys; sys.path.append({str(REPOSITORY / 'src')!r}); {code}; {LOADED}"
    words = [sys.executable, "-IS", "-c", begin]
    return {*subprocess.run(words, capture_output=True, check=True, text=True).stdout.split()}


def test_a_start_imports_what_it_uses() -> None:
    """A board that boots a vehicle waits for each."""
    new = loaded("import canwharf.cli.serve") - loaded("pass")
    ours = {name for name in new if name.partition(".")[0] == "canwharf"}
    assert {name.partition(".")[0] for name in new - ours if name[0] != "_"} <= LIBRARY
    assert "canwharf.daemon.run" in ours
    assert len(ours) <= OURS, sorted(ours)
