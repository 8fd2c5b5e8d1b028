"""The commands of the pages, as a reader copies them.

Rules:

- A block is what is indented by four, up to an empty line; it is one script, and stops at the first
  command that fails. A command within a sentence is taken too, where it begins with `ip link`.
- Nothing is left out in silence: a block runs here unless it is in a table below, with the reason.
- A row that no page needs any more is a failure, so the tables do not outlive the pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.world.board import Board

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

# What a block is that is no command: by its first line.
CONTENT = {
    r"\[\w+\]$": "a file of systemd, udev or WSL2",
    r"(networks|services|steps|test|driver_opts):$": "YAML",
    r"FROM ": "a Dockerfile",
    r"(import can|with can\.Bus\(\) as bus:)$": "Python",
    r"(ok  |canwharf: the daemon|can0  adapter|.*ecu2 is not|add gateway)": "what a command prints",
    r"(vcan0  virtual)": "what a command prints",
    r"(bus0  ecu1 |ecu1 on the bus |canwharf: bus0: )": "what a command prints",
    r"SUBSYSTEM==": "rules of udev",
    r"(\{$|\{\"type\"|annotations:$)": "a part of a CNI list or of a pod; test_cni.py",
    r"(dtparam|# one MCP2515|# one MCP2517FD|# two of them)": "a line of config.txt",
    r"canwharf_\w+( \*| ==|$)": "a query of Prometheus",
    r"(2026-|serving driver=|\{\"time\")": "lines of the log",
    r"(with two_machines|a\.run|def test_|ecu = bus|bus\.|@pytest)": "Python",
    r"E   AssertionError": "what pytest prints",
    r"(- uses:|tests: +# GitLab)": "a step of GitHub, a job of GitLab",
    r".*(══|──>)": "a part of a drawing",
}
# Why a line is not run here: by a part of it.
LEFT_OUT = {
    r"^(sudo )?(systemctl|journalctl) ": "needs systemd; tests/system/test_systemd.py",
    r"canwharf (un)?install|canwharf\.pyz": "needs systemd; tests/system/test_systemd.py",
    r"^(sudo )?(python3 -m venv|pipx |pip install --target|apt|/opt/canwharf)": "needs a network",
    r"^pip install \"canwharf.test|^pytest ": "needs a network; test_pytest_plugin.py",
    r"^kubectl |^docker push|docker import": "needs a cluster and a registry",
    r"^canlab |CANLAB|--can-kernel|dist/canlab": "needs canlab's kernel; tests/canlab",
    r"^unshare ": "needs subordinate ids",
    r"^podman ": "needs Podman; tests/system/test_podman.py",
    r"^(groupadd|usermod) ": "for a rootless Podman; tests/system/test_podman_boots.py",
    r"^(make|python3 -m lab) ?": "builds, or boots a guest",
    r"^(sudo )?reboot|^dmesg": "needs the board",
    r"^canwharf serve": "the daemon itself; tests/system/test_daemon.py",
    r"^docker plugin ": "needs the plugin; tests/system/test_package.py",
    r"canwharf:latest|^docker service": "needs the plugin and Swarm; tests/system/test_pair.py",
    r"--config-only": "needs Swarm; tests/system/test_pair.py",
    r"docker compose ": "tests/system/test_examples.py runs this file",
    r"^ln -s /opt": "needs a network before it",
    r"^install -m 755": "needs a zipapp before it",
    r"canwharf span( |$)|canwharf\[span|\.join": "needs other hosts; tests/system/test_span.py",
    r"^docker stack|canwharf-span:1": "needs the image; tests/faults/test_swarm_span.py",
    r"canwharf (dump|record|play|watch)": "tests/kernel/test_dump.py and those of the others",
    r"doctor --recording": "tests/unit/operator/doctor/test_recording.py",
    r"--watch|^candump |candump can0$|docker logs -f": "goes on until it is interrupted",
    r"^curl ": "the guest has no curl; placeholders for ids",
    r"/proc/config.gz": "the guest's kernel has no such file",
    r"docker build|^printf 'FROM|^FROM |^RUN |^END$": "needs a network; test_readme.py",
    r"can-utils (candump|cansend|sh)|^docker logs ecu1": "needs the image; test_readme.py",
    r"can.ifname=can0": "needs Docker 28; tests/system/test_names.py",
    r"--driver-name rustyvxcan": "needs a second daemon; tests/system/test_systemd.py",
    r"^bitbake-layers|local.conf$": "needs Yocto; tests/unit/packaging/test_files.py",
    r"^ip .*type can( |$)|^ip link set can0 down$": "needs an adapter; see test_adapters.py",
}
# Before a block runs, all is removed, and these are made: by the block's first line.
BUS = "docker network create -d canwharf --ipam-driver null -o can.name=can bus0"
BEFORE = {
    "docker network connect --driver-opt can.name=battery": f"{BUS}; "
    "docker run -d --name ecu2 --network none my-image; docker network disconnect none ecu2",
    "cansend vcan0 20000040#": BUS,
    "docker network create -d canwharf:latest": BUS,  # the plugin's is the service's here
    "sudo canwharf filter bus0 ecu1": f"{BUS}; docker run -d --name ecu1 --network bus0 my-image",
    "sudo canwharf fault ": f"{BUS}; docker run -d --name ecu1 --network bus0 my-image",
    "sudo canwharf ": BUS,
    "docker network create -d canwharf --ipam-driver null -o can.interface=": "true",
    "docker network create -d canwharf --ipam-driver null -o can.name=can bus0": "true",
    "ip -d link show can0": "ip link add can0 type vcan",
    "pid=$(docker inspect": f"{BUS}; {BUS.replace('bus0', '-o can.interface=vcan1 bus1')}; "
    "docker run -d --name gateway --network bus0 my-image; docker network connect bus1 gateway",
    "ip link set vcan0 down && ip link set vcan0 mtu 72": "ip link add vcan0 mtu 16 type vcan; "
    "ip link set vcan0 up",
    "for hub in": BUS,
    "ip link del vcan0": "ip link add vcan0 type vcan",
    "ip link delete can0": "ip link add can0 type vcan",
    "ip link set can0 up": "ip link add can0 type vcan",
    "ip link property add dev vcan3": "ip link add vcan3 type vcan",
    "ip -br link show type vxcan": "ip link add vxcan1a2b3c4d type vxcan peer name peer0",
}
# What a reader puts in place of what is written.
READ_AS = {
    r"…$": "-d my-image",
    r"… my-image": "-d my-image",
    r" …": "",
    r"--(for|learn) \d+[sm]": r"--\1 1s",
}
# What a command's exit status tells that is no failure of the page.
ANY_STATUS = {
    r"^cangw -L": "its exit status means nothing",
    r"canwharf doctor": "1 if anything is wrong with the machine, as in a guest",
}
PREPARE = """
mkdir -p /etc/modules-load.d
printf '#!/bin/sh\\nexec "$@"\\n' >/usr/local/bin/sudo
printf '#!/bin/sh\\nexec python3 -m canwharf "$@"\\n' >/usr/local/bin/canwharf
chmod +x /usr/local/bin/sudo /usr/local/bin/canwharf
container=$(docker create ecu) &&
docker commit --change 'CMD ["sleep", "100000"]' "$container" my-image && docker rm "$container"
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of a page, and where the first one is."""

    where: str
    lines: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in its order."""
    held: list[str] = []
    lines = [*page.read_text().splitlines(), ""]
    for number, line in enumerate(lines, 1):
        if line.startswith("    ") and line.strip():
            held.append(line[4:])
            continue
        if held:
            yield Block(f"{page.name}:{number - len(held)}", tuple(held))
            held = []
        for inline in re.findall(r"`(ip link [^`…]+)`", line):
            yield Block(f"{page.name}:{number}", (inline,))


def row(table: dict[str, str], line: str) -> str | None:
    """The row of a table that is for this line."""
    return next((each for each in table if re.search(each, line)), None)


def script(block: Block) -> str:
    """What of a block runs here; empty if nothing does."""
    if row({f"^{each}": "" for each in CONTENT}, block.lines[0]):
        return ""
    lines = "\n".join(line.strip() for line in block.lines).replace("\\\n", "").splitlines()
    left = [line for line in lines if not row(LEFT_OUT, line)]
    for pattern, word in READ_AS.items():
        left = [re.sub(pattern, word, re.sub(r" +# .*", "", line)) for line in left]
    left = [f"{line} || :" if row(ANY_STATUS, line) else line for line in left]
    # Not `set -e`, which a command before && does not end.
    return " &&\n".join(line for line in left if not line.startswith("#"))


def before(block: Block) -> str | None:
    """What must be there; None if what the block before left will do."""
    return next(
        (made for begin, made in BEFORE.items() if block.lines[0].strip().startswith(begin)), None
    )


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(map(script, blocks(page)))],
    ids=lambda page: str(page.name),
)
def test_each_command_does_what_the_page_says(board: Board, page: Path) -> None:
    """It runs through, on a board that has what the page says that it has."""
    if not board.sh("docker images -q my-image"):
        board.sh(PREPARE)
    try:
        for block in blocks(page):
            if not (words := script(block)):
                continue
            if (made := before(block)) is not None:
                clear(board)
                board.sh(made)
            done = board.guest.run(f"set -x; cd /tmp\n{words}", check=False, timeout=120)
            assert done.status == 0, f"{block.where}\n{words}\n{done.stdout}\n{done.stderr}"
    finally:
        clear(board)


def test_the_compose_file_of_the_readme(board: Board) -> None:
    """Its container is on the bus of the lines above it, as can0."""
    if board.guest.suite.name == "bookworm":
        pytest.skip("Debian 12 has no Compose v2")
    if not board.sh("docker images -q my-image"):
        board.sh(PREPARE)
    (file,) = (each for each in blocks(ROOT / "README.md") if each.lines[0] == "services:")
    text = "\n".join(file.lines)
    board.sh(f"mkdir -p /tmp/readme && cat >/tmp/readme/compose.yaml <<'END'\n{text}\nEND")
    board.sh("cd /tmp/readme && docker compose up -d", timeout=180)
    board.assert_exactly_once("host:vcan0", board.member("readme-ecu1-1"))
    board.sh("cd /tmp/readme && docker compose down -t 0", timeout=180)


def clear(board: Board) -> None:
    """Remove networks and containers, and interfaces that are not canwharf's."""
    board.clean()
    for name in board.interfaces():
        board.sh(f"ip link del {name}", check=False)  # of a pair one end is gone by then


def test_no_row_outlives_its_page() -> None:
    """Each reason for leaving something out is that of a line that is there."""
    lines = [
        line for page in PAGES for block in blocks(page) for line in map(str.strip, block.lines)
    ]
    rows = (*CONTENT, *LEFT_OUT, *ANY_STATUS)
    unused = [each for each in rows if not any(re.search(each, line) for line in lines)]
    starts = [each for each in BEFORE if not any(line.startswith(each) for line in lines)]
    assert (unused, starts) == ([], [])
