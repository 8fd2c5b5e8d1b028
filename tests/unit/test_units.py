"""The units' texts: what systemd does with them is seen in the lab."""

from __future__ import annotations

import configparser

import pytest

from canwharf.errors import OptionError
from canwharf.operator.service.units import Units, quoted


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Sections and the last value of each of their settings."""
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    return {name: dict(unit[name]) for name in unit.sections()}


def test_both_units_come_before_docker_and_belong_together() -> None:
    """Docker starts no container of a driver that it does not find at once."""
    units = Units.of("canwharf")
    files = units.files(["/opt/canwharf/bin/canwharf"])
    assert list(files) == [
        "/etc/systemd/system/canwharf.socket",
        "/etc/systemd/system/canwharf.service",
    ]
    socket, service = (parsed(text) for text in files.values())
    assert socket["Unit"]["Before"] == service["Unit"]["Before"] == "docker.service"
    assert socket["Socket"]["ListenStream"] == "/run/docker/plugins/canwharf.sock"
    assert service["Unit"]["Requires"] == service["Install"]["Also"] == "canwharf.socket"
    assert service["Service"]["ExecStart"] == (
        "/opt/canwharf/bin/canwharf serve --socket /run/docker/plugins/canwharf.sock "
        "--state-dir /var/lib/canwharf"
    )
    assert service["Service"]["StateDirectory"] == "canwharf"
    assert service["Service"]["ProtectHome"] == "yes"


def test_a_second_name_shares_nothing() -> None:
    """Neither units nor state nor socket: each daemon owns its own."""
    one, two = Units.of("canwharf").files(["/c"]), Units.of("rustyvxcan").files(["/c"])
    assert not one.keys() & two.keys()
    service = parsed(two["/etc/systemd/system/canwharf-rustyvxcan.service"])
    assert service["Service"]["ExecStart"].split()[1:] == [
        *("serve", "--socket", "/run/docker/plugins/rustyvxcan.sock"),
        *("--state-dir", "/var/lib/canwharf-rustyvxcan"),
    ]
    assert service["Service"]["StateDirectory"] == "canwharf-rustyvxcan"
    assert "canwharf.socket" not in two["/etc/systemd/system/canwharf-rustyvxcan.service"]


def test_the_name_of_a_managed_plugin() -> None:
    """Docker finds it below a folder; units and state have no slash in their names."""
    units = Units.of("wsovalle/vxcan:latest")
    assert units.path == "/run/docker/plugins/wsovalle/vxcan:latest.sock"
    assert units.service == "canwharf-wsovalle-vxcan-latest.service"
    assert units.state == "/var/lib/canwharf-wsovalle-vxcan-latest"


def test_a_program_in_a_home_directory_can_be_seen() -> None:
    """Or the service could not start what was installed for root by pipx."""
    text = Units.of("canwharf").files(["/root/.local/bin/canwharf"], home=True)
    assert "\nProtectHome=read-only\n" in "".join(text.values())


@pytest.mark.parametrize(
    "name",
    ["", "a b", "../x", "a/../x", "/x", "-x", ".x", "x" * 65, "ä", "x/", "x//y", "x/.y", "x%y"],
)
def test_a_name_that_docker_could_not_use_is_refused(name: str) -> None:
    """It becomes a file's name, too."""
    with pytest.raises(OptionError, match="driver-name"):
        Units.of(name)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/opt/canwharf/bin/canwharf", "/opt/canwharf/bin/canwharf"),
        ("/opt/my dir/canwharf", '"/opt/my dir/canwharf"'),
        ("/opt/100%/canwharf", "/opt/100%%/canwharf"),
        ("/opt/$x/canwharf", "/opt/$$x/canwharf"),
        ('/opt/"x\\/canwharf', '"/opt/\\"x\\\\/canwharf"'),
    ],
)
def test_a_path_is_written_as_systemd_reads_it(word: str, written: str) -> None:
    """Blanks, quotes, specifiers and variables have a meaning there."""
    assert quoted(word) == written
