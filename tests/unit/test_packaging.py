"""What a package has beside the program: it says what --help says, and runs what was installed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from canwharf import __version__
from canwharf.cli import EXIT_STATUS, VERBS
from canwharf.cli.options import Option
from canwharf.kernel.modules import NEEDED
from canwharf.operator.service.units import Units

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
PROGRAM = "/usr/bin/canwharf"
COMPLETE = """
. usr/share/bash-completion/completions/canwharf
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(stale)
_canwharf canwharf "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
echo "${COMPREPLY[*]}"
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is made for a package."""
    made = tmp_path_factory.mktemp("made")
    command = [sys.executable, "-B", str(PACKAGING / "generate.py"), str(made), PROGRAM]
    subprocess.run(command, check=True)
    return made


def plain(roff: str) -> str:
    """A manual page's text in one line, as a reader has it."""
    text = (
        re.sub(r"^\.\w+ ?", "", roff, flags=re.MULTILINE).replace(r"\-", "-").replace(r"\e", "\\")
    )
    text = re.sub(r"\\\[u([0-9A-F]+)\]", lambda found: chr(int(found[1], 16)), text)
    return " ".join(text.replace(r"\&", "").replace(r"\ ", " ").split())


def complete(tree: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    command = ["bash", "-uc", COMPLETE, "bash", "canwharf", *words]
    done = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_the_units_are_those_of_canwharf_install(tree: Path) -> None:
    """All of them, from the one table, for the package's program."""
    files = Units.of("canwharf").files([PROGRAM])
    folder = tree / "usr/lib/systemd/system"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        Path(path).name: text for path, text in files.items()
    }


def test_the_modules_that_a_bus_needs_are_loaded_at_a_boot(tree: Path) -> None:
    """By systemd-modules-load, and by the package's own script when it is installed."""
    text = (tree / "usr/lib/modules-load.d/canwharf.conf").read_text()
    assert [line for line in text.splitlines() if not line.startswith("#")] == list(NEEDED)


@pytest.mark.parametrize("verb", VERBS)
def test_the_manual_says_what_help_says(tree: Path, verb: str) -> None:
    """Each verb, each option with its default, and an example to copy."""
    page = plain((tree / "usr/share/man/man1/canwharf.1").read_text())
    module = import_module(f"canwharf.cli.{verb}")
    assert f"canwharf {verb} {plain(module.DESCRIPTION)}" in page
    assert plain(module.EXAMPLE) in page
    for row in module.OPTIONS:
        assert plain(row.help) in page
        if isinstance(row, Option):
            assert f"--{row.name} " in page
            assert not row.default or f"(default: {row.default})" in page
    for status, meaning in EXIT_STATUS.items():
        assert f"{status} {meaning}" in page


def test_no_line_of_the_manual_is_taken_for_a_request(tree: Path) -> None:
    """A word with a dot in front, as a file's name, would be swallowed."""
    page = (tree / "usr/share/man/man1/canwharf.1").read_text()
    known = {"TH", "SH", "SS", "PP", "TP", "B", "BI", "BR", "I", "RI", "EX", "EE"}
    assert set(re.findall(r"^[.'](\S*)", page, re.MULTILINE)) <= known
    assert page.isascii()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([""], [*VERBS, "--help", "--version"]),
        (["uni"], ["uninstall"]),
        (["sync", "--d"], ["--dry-run", "--driver-name"]),
        (["serve", "--log-format", ""], ["text", "json"]),
        (["serve", "--log-format", "="], ["text", "json"]),
        (["serve", "--log-format", "=", "j"], ["json"]),
        (["serve", "--log-format", "json", "--log-l"], ["--log-level"]),
        (["status", "--state-dir", "usr/l"], ["usr/lib"]),
        (["doctor", "--forget", ""], []),
    ],
)
def test_bash_offers_what_can_follow(tree: Path, words: list[str], offered: list[str]) -> None:
    """Verbs, then a verb's options, then an option's values."""
    assert complete(tree, *words) == offered


def test_the_documents_name_the_package_of_this_version() -> None:
    """What is copied from them is there."""
    for path in ("README.md", "docs/install.md"):
        named = set(re.findall(r"canwharf_\S+_all\.deb", (PACKAGING.parent / path).read_text()))
        assert named == {f"canwharf_{__version__}_all.deb"}


def test_debians_changelog_has_the_version() -> None:
    """The package's version stands there."""
    first = (PACKAGING / "debian/changelog").read_text().splitlines()[0]
    assert first.startswith(f"canwharf ({__version__}) ")
