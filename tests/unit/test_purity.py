"""What claims to be pure is pure in effect: it can be tested and reused without any machine.

A module whose docstring's first paragraph ends in "Pure." does no I/O and loads nothing that could.
What speaks to the kernel is handed to its functions.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = REPOSITORY / "src"
CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
(CONTRACT,) = (each for each in CONTRACTS["contracts"] if each["type"] == "forbidden")
# The interpreter has two of them before it imports anything; the standard library imports os for
# what does no I/O, and canwharf.errors has posix.strerror.
PRELOADED = {"os", "posix", "time"}
PROGRAM = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
forbidden = set(sys.argv[2].split(","))
for module in sys.argv[3:]:
    importlib.import_module(module)
    if loaded := forbidden & sys.modules.keys():
        sys.exit(f"{module} loads {', '.join(sorted(loaded))}")
"""


def claiming() -> list[str]:
    """The modules that claim to be pure."""
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        words = ast.get_docstring(ast.parse(path.read_text())) or ""
        if words.partition("\n\n")[0].endswith("Pure."):
            found.append(".".join(path.relative_to(SOURCES).with_suffix("").parts))
    return found


def test_the_contract_is_about_all_that_claim_to_be_pure() -> None:
    """`make check` proves the claim of each, and no indirect import escapes it."""
    assert CONTRACT["source_modules"] == claiming()
    assert "allow_indirect_imports" not in CONTRACT


def test_what_claims_to_be_pure_loads_nothing_that_does_io() -> None:
    """Not even by the standard library: in an interpreter that has loaded nothing else."""
    forbidden = ",".join(sorted(set(CONTRACT["forbidden_modules"]) - PRELOADED))
    command = [sys.executable, "-I", "-S", "-c", PROGRAM, str(SOURCES), forbidden, *claiming()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
