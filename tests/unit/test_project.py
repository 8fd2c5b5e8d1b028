"""What contributors and a release rely on: the same tools everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from canwharf import __version__
from tests import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def _read(path: str) -> str:
    return (REPOSITORY / path).read_text()


def _name(requirement: str) -> str:
    """A package's name as pip compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0].lower())  # type: ignore[index]


def test_the_lock_file_has_every_development_tool_with_checksums() -> None:
    """Else `make .venv/ready` lacks a tool, or installs a file that is not the one looked at."""
    locked = re.split(r"^(?=\w)", _read("requirements-dev.lock"), flags=re.MULTILINE)[1:]
    tools = PROJECT["project"]["optional-dependencies"]["dev"]
    wanted = [*tools, *PROJECT["build-system"]["requires"]]
    assert {_name(each) for each in wanted} <= {_name(each) for each in locked}
    assert [each for each in locked if "--hash=sha256:" not in each] == []


def test_pre_commit_runs_what_make_check_runs() -> None:
    """A commit that passes the hooks passes `make check`."""
    hooks = re.findall(r"entry: \.venv/bin/(.*)", _read(".pre-commit-config.yaml"))
    recipe = _read("Makefile").partition("\ncheck:")[2].partition("\n\n")[0]
    programs = re.findall(r"\$\(BIN\)/(.*)", recipe)
    # The hook formats; `make check` only looks.
    assert hooks == [each.replace(" --check", "").removesuffix(" .") for each in programs]


def test_the_wheel_has_the_manual_and_the_completion(tmp_path: Path) -> None:
    """Below the environment's share/, made of this version's tables."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = tmp_path.iterdir()
    with zipfile.ZipFile(path) as wheel:
        shared = f"canwharf-{__version__}.data/data/share"
        manual = wheel.read(f"{shared}/man/man1/canwharf.1").decode()
        completion = wheel.read(f"{shared}/bash-completion/completions/canwharf").decode()
    assert f'"canwharf {__version__}"' in manual
    assert "complete -F _canwharf canwharf" in completion


def test_the_documents_name_this_version() -> None:
    """What is copied from them is there, and what they show is what is seen."""
    named = {
        found
        for path in ("README.md", "docs/install.md", "docs/logs.md")
        for found in re.findall(r"canwharf_(\S+)_all\.deb|version=(\S+)", _read(path))
    }
    assert {one or other for one, other in named} == {__version__}


def test_the_changelogs_have_this_version() -> None:
    """Debian's, and ours: its newest dated section, with only what is unreleased above."""
    assert _read("packaging/debian/changelog").startswith(f"canwharf ({__version__}) ")
    headlines = re.findall(r"^## (.*)", _read("CHANGELOG.md"), re.MULTILINE)
    dated = [each for each in headlines if each != "Unreleased"]
    assert re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", dated[0])
    assert headlines.index(dated[0]) == len(headlines) - len(dated) <= 1


def test_the_yocto_recipe_has_this_version() -> None:
    """BitBake takes a recipe's version from its file's name."""
    (recipe,) = (REPOSITORY / "packaging/yocto/recipes-containers/canwharf").iterdir()
    assert recipe.name == f"canwharf_{__version__}.bb"


# Those that are about to be split; nothing is added here.
STILL_LONG = {"src/canwharf/bus/plan.py", "src/canwharf/bus/service.py"}


def test_no_file_is_longer_than_400_lines() -> None:
    """A longer one has more than one concept."""
    rooms = ("src", "lab", "packages", "packaging", "tests", "examples", "bench")
    files = [path for room in rooms for path in (REPOSITORY / room).rglob("*.py")]
    assert len(files) > 300
    lines = {str(path.relative_to(REPOSITORY)): path.read_text().count("\n") for path in files}
    assert {name for name, number in lines.items() if number > 400} <= STILL_LONG
