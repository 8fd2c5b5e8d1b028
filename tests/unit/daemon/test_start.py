"""What the daemon's start imports, on this machine's Python; `tests/kernel` has a whole one."""

from __future__ import annotations

import subprocess
import sys

from tests import REPOSITORY
from tests.start import LIBRARY, OURS

# What a daemon loads some time after its start, or for the first call of a runtime (daemon.calls).
LATER = (
    "from canwharf.bus import attach, spelling; from canwharf.control import runtimes; "
    "from canwharf.cni import routes; from canwharf.netavark import routes"
)
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
    roots = {name.partition(".")[0] for name in new - ours if name[0] != "_"}
    assert roots <= LIBRARY, "see the rules of canwharf.lean"
    assert "canwharf.daemon.run" in ours
    assert len(ours) <= OURS, sorted(ours)


def test_a_daemon_at_rest_has_no_more_of_the_standard_library() -> None:
    """It keeps in memory what it imports."""
    start = loaded("import canwharf.cli.serve")
    new = loaded(f"import canwharf.cli.serve; {LATER}") - start
    assert "canwharf.netavark.routes" in new
    assert {name for name in new if not name.startswith("canwharf.")} == set()
