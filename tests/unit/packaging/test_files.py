"""What a package has beside the program: it says what --help says, and runs what was installed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from canwharf import __version__
from canwharf.cli import EXIT_STATUS, VERBS
from canwharf.cli.options import Argument, Option
from canwharf.daemon.instance import usual
from canwharf.kernel.needed import LINEAR, NEEDED, POLICIES
from canwharf.operator.service.units import files as unit_files
from tests import REPOSITORY

PACKAGING = REPOSITORY / "packaging"
PROGRAM = "/usr/bin/canwharf"
RECIPE = PACKAGING / f"yocto/recipes-containers/canwharf/canwharf_{__version__}.bb"
# What of the standard library is not in Yocto's python3-core (its python3-manifest.json).
SPLIT_OFF = {
    **{name: name for name in ("asyncio", "ctypes", "curses", "difflib", "email", "fcntl", "html")},
    **{name: name for name in ("json", "logging", "mmap", "multiprocessing", "pickle", "pprint")},
    **{name: name for name in ("resource", "sqlite3", "statistics", "syslog", "tomllib", "xml")},
    **dict.fromkeys(("datetime", "calendar"), "datetime"),
    **dict.fromkeys(("socket", "ssl", "tempfile", "termios"), "io"),
    **dict.fromkeys(("base64", "hmac", "http", "secrets", "uuid"), "netclient"),
    **dict.fromkeys(("contextvars", "decimal", "fractions", "numbers"), "numbers"),
    **dict.fromkeys(("pty", "tty"), "terminal"),
    "cmd": "shell",
    "shlex": "shell",
    "hashlib": "crypt",
    "random": "math",
    "queue": "threading",
    "string": "stringold",
    "socketserver": "netserver",
}
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
    files = unit_files(usual("canwharf"), [PROGRAM])
    folder = tree / "usr/lib/systemd/system"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        Path(path).name: text for path, text in files.items()
    }


def test_the_modules_that_a_bus_needs_are_loaded_at_a_boot(tree: Path) -> None:
    """By systemd-modules-load, and by the package's own script when it is installed."""
    text = (tree / "usr/lib/modules-load.d/canwharf.conf").read_text()
    listed = [line for line in text.splitlines() if not line.startswith("#")]
    assert "em_canid" not in listed, "a Raspberry Pi's boot would have a failed unit"
    linear = (module for module in LINEAR if module != "cls_basic")
    assert listed == [*NEEDED, *linear, *(module for module in POLICIES if module != "em_canid")]


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


@pytest.mark.parametrize("verb", VERBS)
def test_bash_offers_every_option_of_a_verb(tree: Path, verb: str) -> None:
    """All that --help lists, and --help."""
    options = import_module(f"canwharf.cli.{verb}").OPTIONS
    named = [f"--{row.name}" for row in options if not isinstance(row, Argument)]
    assert complete(tree, verb, "-") == [*named, "--help"]


def test_the_yocto_recipe_installs_a_program_that_starts(tmp_path: Path) -> None:
    """Its shell steps, with the variables as Yocto has them; BitBake itself is not here."""
    text = RECIPE.read_text()
    values = {
        "PYTHON": sys.executable,
        "S": str(PACKAGING.parent),
        "B": str(tmp_path / "build"),
        "D": str(tmp_path / "image"),
        "PROGRAM": "/usr/share/canwharf",
        "bindir": "/usr/bin",
        "prefix": "/usr",
        "nonarch_libdir": "/usr/lib",
        "systemd_system_unitdir": "/usr/lib/systemd/system",
        "PYTHON_SITEPACKAGES_DIR": "/usr/lib/python3.13/site-packages",
    }
    steps = re.findall(r"^do_(?:compile|install)\(\) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    script = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], "".join(steps))
    subprocess.run(["sh", "-euc", script], check=True)
    image = tmp_path / "image"
    assert (image / "usr/lib/systemd/system/canwharf.socket").exists()
    assert (image / "usr/lib/modules-load.d/canwharf.conf").exists()
    launcher = image / "usr/bin/canwharf"
    lines = launcher.read_text().replace("/usr/share/canwharf", f"{image}/usr/share/canwharf")
    command = [sys.executable, "-ISc", lines, "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"canwharf {__version__}\n"


def test_the_yocto_recipe_depends_on_all_that_is_imported() -> None:
    """Yocto splits the standard library; what an image lacks is found out on the board."""
    imported: set[str] = set()
    for path in (PACKAGING.parent / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            imported |= {name.partition(".")[0] for name in names if name}
    depends = set(re.findall(r"python3-([a-z0-9]+)", RECIPE.read_text().partition("RDEPENDS")[2]))
    assert depends == {"core", *(SPLIT_OFF[name] for name in imported & SPLIT_OFF.keys())}
