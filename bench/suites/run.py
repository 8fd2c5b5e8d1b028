"""Fetches a suite, installs it, runs it and reads what came of each test."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple

from bench.suites.table import Suite

LIMIT = 1800.0  # seconds for one suite
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# junit's elements in a test case that did not pass.
OUTCOMES = {"failure": FAILED, "error": FAILED, "skipped": SKIPPED}


class Outcome(NamedTuple):
    """What came of a test, and why if it did not pass."""

    outcome: str
    why: str = ""


Outcomes = dict[str, Outcome]  # by the test's name


def prepare(suite: Suite, folder: Path) -> Path:
    """The suite's source in a folder, with an environment beside it; its path."""
    place = folder / f"{suite.name}-{suite.version[:12]}"
    if (place / "ready").exists():
        return place
    (_clone if suite.repository else _download)(suite, place)
    _do([sys.executable, "-m", "venv", str(place / "environment")])
    install = [str(place / "environment/bin/pip"), "install", "--quiet"]
    _do([*install, f"{place / 'source'}{suite.extras}", "pytest<9", *suite.tools])
    (place / "ready").touch()
    return place


def _clone(suite: Suite, place: Path) -> None:
    git = ["git", "-c", "advice.detachedHead=false"]
    _do([*git, "clone", "--quiet", suite.repository, str(place / "source")])
    _do([*git, "-C", str(place / "source"), "checkout", "--quiet", suite.version])


def _download(suite: Suite, place: Path) -> None:
    """Its source distribution: a wheel has no tests."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    requirement = f"{suite.name}=={suite.version}"
    _do([*pip, "--no-binary", suite.name, "--dest", str(place), requirement])
    (archive,) = place.glob("*.tar.gz")
    _do(["tar", "-xzf", str(archive), "-C", str(place)])
    (unpacked,) = (path for path in place.iterdir() if path.is_dir())
    unpacked.rename(place / "source")


def run(suite: Suite, place: Path, prefix: list[str], name: str) -> Outcomes:
    """Run the suite behind a command; what came of each test. `name` names its files in `place`."""
    report, log = place / f"{name}.xml", place / f"{name}.log"
    report.unlink(missing_ok=True)
    command = [
        *prefix,
        *(str(place / "environment/bin/python"), "-m", "pytest", "-ra", "-p", "no:cacheprovider"),
        # Without a project's own options, which measure coverage.
        *("-o", "addopts=", f"--junitxml={report}", suite.tests),
    ]
    with log.open("wb") as output:
        subprocess.run(
            command,
            cwd=place / "source",
            env={**os.environ, **_active(place), **dict(suite.environment)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,  # some tests fail; what is missing altogether has no report
        )
    if not report.exists():
        raise SystemExit(f"{suite.name} has no result ({name}):\n{log.read_text()[-2000:]}")
    return read(report)


def _active(place: Path) -> dict[str, str]:
    """What `activate` sets: suites call the programs of their project by name."""
    programs = place / "environment/bin"
    return {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}


def read(report: Path) -> Outcomes:
    """The outcomes that pytest wrote for itself (its own file, so it is trusted)."""
    found: Outcomes = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        ends = (Outcome(OUTCOMES[each.tag], _why(each)) for each in case if each.tag in OUTCOMES)
        name = f"{case.get('classname')}::{case.get('name')}"
        found[name] = next(ends, Outcome(PASSED))
    return found


def _why(element: ET.Element) -> str:
    """The first line of a failure's message."""
    return " ".join(element.get("message", "").partition("\n")[0].split())[:120]


def _do(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
