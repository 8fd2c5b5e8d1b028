"""The units' texts: what systemd does with them is seen in the lab."""

from __future__ import annotations

import configparser
import json
import shlex
import socket
import subprocess
from http.client import HTTPResponse
from pathlib import Path

import pytest

from canwharf.daemon.instance import usual
from canwharf.errors import OptionError
from canwharf.operator.service import units
from canwharf.operator.service.units import quoted


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Sections and the last value of each of their settings."""
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    return {name: dict(unit[name]) for name in unit.sections()}


def test_both_units_come_before_docker_and_belong_together() -> None:
    """Docker starts no container of a driver that it does not find at once."""
    files = units.files(usual("canwharf"), ["/opt/canwharf/bin/canwharf"])
    assert list(files)[:2] == [
        "/etc/systemd/system/canwharf.socket",
        "/etc/systemd/system/canwharf.service",
    ]
    socket, service = (parsed(text) for text in list(files.values())[:2])
    assert socket["Unit"]["Before"] == service["Unit"]["Before"] == "docker.service"
    assert socket["Socket"]["ListenStream"] == "/run/docker/plugins/canwharf.sock"
    assert service["Unit"]["Requires"] == service["Install"]["Also"] == "canwharf.socket"
    assert service["Service"]["ExecStart"] == (
        "/opt/canwharf/bin/canwharf serve --socket /run/docker/plugins/canwharf.sock "
        "--state-dir /var/lib/canwharf"
    )
    assert service["Service"]["ReadWritePaths"] == "-/var/lib/canwharf"
    assert service["Service"]["ProtectHome"] == "yes"


def test_a_second_name_shares_nothing() -> None:
    """Neither units nor state nor socket: each daemon owns its own."""
    one, two = units.files(usual("canwharf"), ["/c"]), units.files(usual("rustyvxcan"), ["/c"])
    assert not one.keys() & two.keys()
    service = parsed(two["/etc/systemd/system/canwharf-rustyvxcan.service"])
    assert service["Service"]["ExecStart"].split()[1:] == [
        *("serve", "--socket", "/run/docker/plugins/rustyvxcan.sock"),
        *("--state-dir", "/var/lib/canwharf-rustyvxcan"),
    ]
    assert service["Service"]["ReadWritePaths"] == "-/var/lib/canwharf-rustyvxcan"
    assert "canwharf.socket" not in two["/etc/systemd/system/canwharf-rustyvxcan.service"]


def test_the_name_of_a_managed_plugin() -> None:
    """Docker finds it below a folder; units and state have no slash in their names."""
    instance = units.checked("wsovalle/vxcan:latest")
    assert instance.socket == "/run/docker/plugins/wsovalle/vxcan:latest.sock"
    assert instance.service == "canwharf-wsovalle-vxcan-latest.service"
    assert instance.state_dir == "/var/lib/canwharf-wsovalle-vxcan-latest"


def test_a_program_in_a_home_directory_can_be_seen() -> None:
    """Or the service could not start what was installed for root by pipx."""
    text = units.files(usual("canwharf"), ["/root/.local/bin/canwharf"], home=True)
    assert "\nProtectHome=read-only\n" in "".join(text.values())


@pytest.mark.parametrize(
    "name",
    ["", "a b", "../x", "a/../x", "/x", "-x", ".x", "x" * 65, "ä", "x/", "x//y", "x/.y", "x%y"],
)
def test_a_name_that_docker_could_not_use_is_refused(name: str) -> None:
    """It becomes a file's name, too."""
    with pytest.raises(OptionError, match="driver-name"):
        units.checked(name)


@pytest.mark.parametrize("word", ["rescue", "refuse", "rootless", "span", "names"])
@pytest.mark.parametrize("before", ["", "vxcan-", "some/", "some/vxcan:"])
def test_a_name_whose_units_are_anothers_helpers_is_refused(before: str, word: str) -> None:
    """Its install would overwrite what starts the other daemon again, and its socket."""
    with pytest.raises(OptionError, match="another driver's own helpers"):
        units.checked(before + word)
    assert units.checked(f"{before}{word}2").name == f"{before}{word}2"
    assert units.checked(f"x{word}").name == f"x{word}"


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


PROGRAM = "/opt/canwharf/bin/canwharf"


def command(unit: str, line: str = "ExecStart", program: str = PROGRAM) -> list[str]:
    """The words of a unit's command, as systemd reads them."""
    files = units.files(usual("canwharf"), [program])
    written = parsed(files[f"/etc/systemd/system/{unit}"])["Service"][line]
    return [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(written)]


def test_a_refusal_is_an_answer_that_docker_reads() -> None:
    """From the shell alone, as no Python may work: it says whom to ask, and ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        refusing = subprocess.Popen(
            command("canwharf-refuse@.service"), stdin=theirs.fileno(), stdout=theirs.fileno()
        )
        theirs.close()
        # In one send, as Docker does: the answer may come before a second one.
        ours.sendall(b"POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        answer = HTTPResponse(ours, method="POST")
        answer.begin()
        said = json.loads(answer.read())
        assert refusing.wait(10) == 0
    assert (answer.status, answer.getheader("Connection")) == (503, "close")
    assert "systemctl status canwharf.service" in said["Err"]


START, REFUSE = "--quiet start canwharf.service", "--no-block start canwharf-refuse.socket"


def rescued(path: Path, refused: bool, starts: bool, asked: str, **told: str) -> list[str]:
    """What the rescue does, where systemd tells this in its environment, or if it is asked."""
    fakes = {
        "systemctl": f'[ "$2" = is-active ] && {{ {refused}; exit; }}\n'
        f'[ "$1" = show ] && {{ echo {asked}; exit; }}\n'
        f'echo "$@" >>{path}/ran\n[ "$1" != --quiet ] || {starts}',
        "systemd-run": 'while [ "${1#--}" != "$1" ]; do shift; done; "$@"',
        # Docker is booting, and answers at the third try.
        "docker": f"echo >>{path}/asked; exec grep -q . -m1 {path}/answers",
        "sleep": f"[ $(wc -l <{path}/asked) -lt 2 ] || echo yes >{path}/answers",
        "my 'canwharf'": f'echo "$@" >>{path}/ran; exit 1',
    }
    for name, text in fakes.items():
        (path / name).write_text(
            f"#!/bin/sh\n{text}\n".replace("True", "true").replace("False", "false")
        )
        (path / name).chmod(0o755)
    rescuing = command("canwharf-rescue.service", program=f"{path}/my 'canwharf'")
    environment = {"PATH": f"{path}:/usr/bin:/bin", **told}
    subprocess.run(rescuing, env=environment, check=True, timeout=60)
    return (path / "ran").read_text().splitlines()


@pytest.mark.parametrize(
    ("refused", "result", "starts", "expected"),
    [
        (False, "exit-code", True, [START]),
        (False, "exit-code", False, [START, REFUSE]),
        (False, "timeout", True, [REFUSE]),  # Docker has waited enough
        # By the timer; systemd tells the last result then, too.
        (True, "exit-code", True, [START, "doctor --fix --driver-name canwharf"]),
        (True, "timeout", True, [START, "doctor --fix --driver-name canwharf"]),
        (True, "timeout", False, [START, REFUSE]),
    ],
)
def test_what_fails_is_started_once_more_and_then_refused(
    refused: bool, result: str, starts: bool, expected: list[str], tmp_path: Path
) -> None:
    """A crash loses no call, and a daemon that cannot start blocks no call.

    The doctor starts the containers of a Docker that has booted.
    """
    told = {"MONITOR_SERVICE_RESULT": result}
    assert rescued(tmp_path, refused, starts, "success", **told) == expected


@pytest.mark.parametrize(("result", "expected"), [("exit-code", [START]), ("timeout", [REFUSE])])
def test_a_systemd_before_251_is_asked_for_the_result(
    result: str, expected: list[str], tmp_path: Path
) -> None:
    """Or a start that hangs would hold Docker up twice on Ubuntu 22.04."""
    assert rescued(tmp_path, refused=False, starts=True, asked=result) == expected


@pytest.mark.parametrize("there", [True, False])
def test_the_state_is_made_roots_before_the_daemon_starts(there: bool, tmp_path: Path) -> None:
    """It has no right to read another's; where a link leads is left as it is.

    Nobody else may write there, or a link could be put in the file's place.
    """
    state = tmp_path / "canwharf"
    script = command("canwharf.service", "ExecStartPre")[-1]
    script = script.replace("/var/lib/canwharf", str(state))
    if there:
        state.mkdir()
        (state / "state.json").write_text("{}")
        (state / "state.json").chmod(0)
        state.chmod(0o022)
    subprocess.run(["/bin/sh", "-c", script], check=True)
    assert state.stat().st_mode & 0o722 == 0o700
    if there:
        assert (state / "state.json").stat().st_mode & 0o777 == 0o600
    state.rename(tmp_path / "elsewhere")
    state.symlink_to("elsewhere")
    (tmp_path / "elsewhere").chmod(0o500)
    subprocess.run(["/bin/sh", "-c", script], check=True)
    assert state.stat().st_mode & 0o777 == 0o500


def test_a_file_in_the_states_place_is_left_for_the_daemon_to_tell(tmp_path: Path) -> None:
    """The doctor shows the last line of the log: it must be the daemon's, which says what to do."""
    state = tmp_path / "canwharf"
    script = command("canwharf.service", "ExecStartPre")[-1]
    state.write_text("mine")
    state.chmod(0o664)
    words = ["/bin/sh", "-c", script.replace("/var/lib/canwharf", str(state))]
    done = subprocess.run(words, check=True, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert state.stat().st_mode & 0o777 == 0o664
