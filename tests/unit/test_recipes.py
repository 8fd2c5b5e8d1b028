"""CONTRIBUTING.md is right, and its recipes are safe: a place that was forgotten fails here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from canwharf.bus import options
from canwharf.bus.model import Endpoint, Network, Settings, State
from canwharf.bus.naming import Ifname
from canwharf.bus.store import Store
from canwharf.kernel.can import CanSettings
from canwharf.operator.doctor.checks import CHECKS
from tests import REPOSITORY

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()
PATHS = set(re.findall(r"[`(]([\w./-]+(?:/|\.(?:md|py|toml|lock|yml)))[`)#]", PAGE))


def _table(page: str) -> list[str]:
    """What stands in code in the first column of a page's tables."""
    rows = re.findall(r"^\| (`.*?) \|", (REPOSITORY / page).read_text(), re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(.*?)`", row)]


def test_the_page_names_files_that_there_are() -> None:
    """A newcomer opens each of them."""
    built = {"dist/"}  # by `make release`
    missing = [each for each in PATHS - built if not (REPOSITORY / each).exists()]
    assert len(PATHS) > 40
    assert missing == []


def test_the_recipes_name_tables_and_classes_that_there_are() -> None:
    """Each stands in one of the files that are named."""
    recipes = PAGE[PAGE.index("## Recipe") : PAGE.index("## What a change needs")]
    files = [REPOSITORY / each for each in PATHS if each.endswith(".py")]
    code = {word for path in files for word in re.findall(r"\w+", path.read_text())}
    named = set(re.findall(r"`(\w+)`", recipes))
    assert len(named) > 20
    assert named - code == set()


def test_the_code_map_has_every_room() -> None:
    """Each folder and each file beside them: what is in none is found by chance."""
    rooms = [path for path in (REPOSITORY / "src/canwharf").iterdir() if path.name != "__pycache__"]
    table = PAGE.partition("## The code map")[2].partition("\n## ")[0]
    missing = [path.name for path in rooms if f"`src/canwharf/{path.name}" not in table]
    assert missing == []


@pytest.mark.parametrize("option", options.NETWORK_OPTIONS)
def test_every_option_stands_on_its_page(option: str) -> None:
    assert option in _table("docs/networks.md")


def test_every_setting_of_an_adapter_reaches_the_adapter() -> None:
    """A row without a field would be an error at the first network that has it."""
    named = {option[4:].replace("-", "_") for option in (*options._NUMBERS, *options._POINTS)}
    assert named | {"mask", "modes"} == set(CanSettings._fields)


def test_every_setting_is_on_disk(tmp_path: Path) -> None:
    """One that is not would be forgotten at the next start."""
    store = Store(str(tmp_path))
    store.acquire()
    network, endpoint = "a" * 64, "b" * 64
    wanted = Network(network, Settings("vcan0", "can"), {endpoint: Endpoint()})
    store.save(State("canwharf", {network: wanted}))
    written = json.loads(Path(store.path).read_text())["networks"][network]
    assert written.keys() == {*Settings._fields, "endpoints"}
    assert written["endpoints"][endpoint].keys() == {
        *(set(Endpoint._fields) - {"ifname"}),
        *Ifname._fields,
    }


def test_every_check_of_the_doctor_stands_on_its_page() -> None:
    """In the doctor's order."""
    assert [each for each in _table("docs/troubleshooting.md") if each in CHECKS] == list(CHECKS)
