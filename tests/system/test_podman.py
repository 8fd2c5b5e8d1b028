"""Podman's containers on the same buses as Docker's: in a guest of sid, which has Podman."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.system.test_adapters import NAME, WAIT, plugged, pull
from tests.system.test_pages import READ_AS, ROOT, blocks
from tests.world.board import UP
from tests.world.engines import MY_IMAGE, NETAVARK, POD, Engines
from tests.world.rootless import User, allowed

CREATE = "podman network create --driver canwharf --opt can.interface"
BOTH = "drive:interface_name=can0 --network body:interface_name=can1"


@pytest.fixture(scope="module")
def machine() -> Iterator[Engines]:
    with Guest("sid") as guest:
        board = Engines(guest)
        board.start()
        yield board


@pytest.fixture
def podman(machine: Engines) -> Iterator[Engines]:
    """With two networks, on two buses."""
    machine.sh(f"{CREATE}=vcan0 drive && {CREATE}=vcan1 body")
    yield machine
    machine.clean()


def test_containers_of_podman_docker_and_the_host_on_one_bus(podman: Engines) -> None:
    """Each receives the frames of all others, once."""
    podman.network()
    podman.container("ecu1")
    first, second = podman.podman("ecu1"), podman.podman("ecu2")
    podman.assert_exactly_once("host:vcan0", podman.member("ecu1"), first, second)
    podman.sh("docker rm -f ecu1")
    podman.assert_exactly_once("host:vcan0", first, second)


def test_the_interface_is_there_before_the_program(podman: Engines) -> None:
    """And nothing else is."""
    said = podman.sh("podman run --rm --network drive ecu cat /sys/class/net/can0/operstate")
    assert said == "up"
    podman.podman("ecu1")
    links = json.loads(podman.sh("podman exec ecu1 /bin/ip -j addr"))
    assert [(each["ifname"], len(each["addr_info"]) > 0) for each in links] == [
        ("lo", True),
        ("can0", False),
    ]


def test_a_container_that_may_not_send(podman: Engines) -> None:
    podman.podman("ecu1", "drive:can.send=none")  # its own option
    told = podman.sh("podman exec ecu1 cansend can0 123#01 && python3 -m canwharf status --json")
    [ecu1] = json.loads(told)["buses"][0]["members"][1:]
    assert ecu1["frames_kept_back"]["send"] == 1


def test_lives(podman: Engines) -> None:
    """Restart, kill, stop and start: the same name in a new namespace each time."""
    other = podman.podman("ecu2")
    podman.podman("ecu1", more="--restart always")
    for step in (
        "podman restart -t 0 ecu1",
        "podman stop -t 0 ecu1 && podman start ecu1",
        "podman kill ecu1 && podman wait ecu1; podman start ecu1",
        "podman network reload ecu1",
    ):
        podman.sh(step)
        podman.assert_exactly_once("host:vcan0", podman.of_podman("ecu1"), other)
    podman.sh("podman rm -ft 0 ecu1")
    podman.assert_exactly_once("host:vcan0", other)


def test_two_buses_with_names(podman: Engines) -> None:
    """In whatever order they are set up; connected and disconnected while it runs."""
    first = podman.podman("ecu1", BOTH)
    second = podman.podman("ecu2", BOTH)
    body = [f"{each.partition(':')[0]}:can1" for each in (first, second)]
    podman.assert_exactly_once("host:vcan0", first, second, "--members", "host:vcan1", *body)
    podman.sh("podman network disconnect body ecu1")
    assert podman.links(first) == ["can0"]
    podman.assert_exactly_once("host:vcan0", first, second, "--members", "host:vcan1", body[1])
    podman.sh("podman network connect body ecu1")
    assert podman.links(first) == ["can0", "can1"]
    podman.assert_exactly_once("host:vcan1", *body)


def test_beside_a_bridge(podman: Engines) -> None:
    """The bridge is its first network, and yet the bus is can0."""
    podman.sh("podman network create --disable-dns --subnet 10.87.0.0/24 ip0")
    # netavark 1.17 fails now and then at a first bridge (its netlink is out of sequence).
    podman.write("/etc/containers/containers.conf", '[network]\nfirewall_driver = "none"')
    for _try in range(3):
        done = podman.guest.run(
            "podman run -d --name ecu1 --network ip0 --network drive ecu sleep 9999", check=False
        )
        if done.status == 0:
            break
        podman.sh("podman rm -fat 0")
    podman.assert_exactly_once("host:vcan0", podman.of_podman("ecu1"))


def test_eight_containers_started_at_once(podman: Engines) -> None:
    """Four by Podman and four by Docker."""
    podman.network()
    names = [f"ecu{number}" for number in range(4)]
    for name in names:
        podman.sh(f"podman create --network drive --name {name} ecu sleep 100000")
        podman.sh(f"docker create --network bus0 --name {name} ecu sleep 100000")
    words = [f"{engine} {name}" for name in names for engine in ("podman", "docker")]
    podman.sh(
        f"printf '%s\\n' {' '.join(repr(each) for each in words)} | "
        "xargs -P 8 -n 2 sh -c '$0 start $1'",
        timeout=300,
    )
    members = [*map(podman.of_podman, names), *map(podman.member, names)]
    podman.assert_exactly_once("host:vcan0", *members)


def test_a_pod(podman: Engines) -> None:
    """Its containers share the interface, over the pod's whole life."""
    podman.sh("podman pod create --network drive p1")
    podman.sh("podman run -d --pod p1 --name ecu1 --stop-timeout 0 ecu sleep 100000")
    other = podman.podman("ecu2")
    for step in (
        "true",
        "podman pod restart p1",
        "podman pod kill p1 && podman pod start p1",
        "podman pod stop -t 0 p1 && podman pod start p1",
        "podman network reload $(podman pod inspect -f '{{.InfraContainerID}}' p1)",
    ):
        podman.sh(step)
        podman.assert_exactly_once("host:vcan0", podman.of_podman("ecu1"), other)


def test_kube_play(podman: Engines) -> None:
    """Two containers of one pod, on two buses: with each other, and with all else there."""
    other = podman.podman("other", BOTH)
    podman.write("/tmp/pod.yaml", POD)
    for play in ("play", "play --replace"):
        podman.sh(f"podman kube {play} --network {BOTH} /tmp/pod.yaml")
        first, second = podman.of_podman("twin-ecu1"), podman.of_podman("twin-ecu2")
        assert podman.links(first) == ["can0", "can1"]
        podman.assert_exactly_once(
            *("host:vcan0", first, second, other),
            *("--members", "host:vcan1", *(f"{each[:-1]}1" for each in (first, second, other))),
        )
    podman.sh("podman kube down /tmp/pod.yaml")
    assert_alone(podman, "other")
    podman.assert_exactly_once("host:vcan0", other, "--members", "host:vcan1", f"{other[:-1]}1")


@pytest.mark.long
def test_podman_compose(podman: Engines) -> None:
    """With the page's own file; up, up again, restarted, down."""
    other = podman.podman("other")
    podman.sh(MY_IMAGE)
    (file,) = (each for each in blocks(ROOT / "docs/podman.md") if each.lines[0] == "services:")
    podman.write("/tmp/board/compose.yaml", "\n".join(file.lines))
    for step in ("up -d", "restart -t 0 ecu", "up -d --force-recreate -t 0"):
        podman.sh(f"cd /tmp/board && podman-compose {step}")
        podman.assert_exactly_once("host:vcan0", podman.of_podman("board_ecu_1"), other)
    podman.sh("cd /tmp/board && podman-compose down -t 0")
    assert_alone(podman, "other")
    assert "board_drive" not in podman.sh("podman network ls")


def test_the_commands_of_the_page(machine: Engines) -> None:
    """In the order in which a reader meets them, and its containers are on their buses."""
    machine.sh(MY_IMAGE)
    machine.write("/tmp/pod.yaml", POD)
    lines = [line for each in blocks(ROOT / "docs/podman.md") for line in each.lines]
    commands = [line for line in lines if line.startswith("podman ")]
    assert len(commands) > 3
    for command in commands:
        for pattern, word in READ_AS.items():
            command = re.sub(pattern, word, command)  # noqa: PLW2901
        machine.sh(f"cd /tmp && {command}")
    names = machine.sh("podman ps --filter ancestor=my-image --format '{{.Names}}'").split()
    assert names != []
    machine.assert_exactly_once("host:vcan0", *map(machine.of_podman, names))
    machine.clean()


def assert_alone(board: Engines, name: str) -> None:
    """No container but this one has anything of ours."""
    said = board.sh("podman ps -a --format '{{.Names}}'").split()
    ends = [each for each in board.interfaces() if each.startswith("cwh")]
    assert (said, len(ends)) == ([name], len(board.endpoints()))
    assert len(ends) == len(board.links(board.of_podman(name)))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("podman network create --driver canwharf other", "the option can.interface is missing"),
        (f"{CREATE}=vcan3 --subnet 10.9.0.0/24 other", "leave --subnet away"),
        (f"{CREATE}=vcan3 --opt can.bitrat=5 other", "can.bitrate"),
        ("podman run --rm --network drive:bogus=1 ecu true", "option bogus=1"),
        ("podman run --rm --network drive --ip 10.9.0.1 ecu true", "leave --ip and --ip6 away"),
        ("podman run --rm --network drive:interface_name=lo ecu true", "lo is taken"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    podman: Engines, command: str, words: str
) -> None:
    """That the user sees whole; nothing is left behind."""
    done = podman.guest.run(command, check=False)
    assert done.status != 0
    assert words in done.stderr
    assert podman.endpoints() == []


def setup(options: object, name: str = "eth0") -> str:
    """A command that prints the input of a setup."""
    network = {"name": "drive", "id": "d" * 64, "driver": "canwharf", "options": options}
    there = {"interface_name": name, "aliases": []}
    content = {"container_id": "c" * 64, "network": network, "network_options": there}
    return f"echo '{json.dumps(content)}'"


BUS = {"can.interface": "vcan0"}


@pytest.mark.parametrize(
    ("input", "words", "said"),
    [
        ("true", "setup /run/netns/here", "the standard input is not JSON"),
        ("echo garbage", "setup /run/netns/here", "the standard input is not JSON"),
        ("echo garbage", "teardown /run/netns/here", "the standard input is not JSON"),
        ("echo []", "setup /run/netns/here", "must be a JSON object"),
        ("head -c 2000000 /dev/zero", "create", "1000000 bytes or more"),
        (setup(BUS), "update /run/netns/here", "update is no call of netavark's (create, setup,"),
        (setup(BUS), "", "no word is no call of netavark's"),
        (setup(BUS), "setup", "namespace"),
        (setup(BUS), "setup /run/netns/gone", "/run/netns/gone"),
        (setup(BUS, "can9"), "setup /run/netns/here", "can9 is taken"),
        (setup({}), "setup /run/netns/here", "the option can.interface is missing"),
        (setup(None), "setup /run/netns/here", "the option can.interface is missing"),
    ],
)
def test_bad_input(podman: Engines, input: str, words: str, said: str) -> None:
    """To the executable itself: an error in netavark's form, and nothing is left behind."""
    podman.sh("ip netns add here && ip -n here link add can9 type vcan")
    done = podman.guest.run(f"{input} | {NETAVARK} {words}", check=False)
    assert (done.status, done.stderr) == (1, "")
    assert said in json.loads(done.stdout)["error"]
    assert podman.endpoints() == []
    assert podman.sh("ip -n here -br link show type vxcan") == ""
    podman.sh("ip netns del here")


def test_without_the_daemon_containers_can_be_removed_and_not_started(podman: Engines) -> None:
    """And the daemon that comes back has nothing of them left, but what runs."""
    podman.podman("gone")
    stays = podman.podman("stays")
    podman.end_daemon("KILL")
    podman.sh("podman rm -ft 0 gone")
    why = podman.refused("podman run --rm --network drive ecu true")
    assert "canwharf's daemon does not answer" in why
    assert "see 'canwharf doctor'" in why
    podman.assert_exactly_once("host:vcan0", stays)
    podman.start_daemon()
    next = podman.podman("next")
    podman.assert_exactly_once("host:vcan0", stays, next)
    podman.daemon.wait_for("garbage collecting an endpoint", UP)


def test_an_interface_that_is_deleted_by_hand_comes_back(podman: Engines) -> None:
    """As Docker's do: the container runs on, on its bus."""
    member = podman.podman("ecu1")
    [end] = [each for each in podman.interfaces() if each.startswith("cwh")]
    podman.sh(f"ip link delete {end}")
    podman.daemon.wait_for("recreated interface pair", UP)
    podman.assert_exactly_once("host:vcan0", member)


def test_dockers_api_on_podmans_socket(podman: Engines) -> None:
    """It drops the options: refused, with what to do, and not another bus in silence."""
    socket = "unix:///run/podman.sock"
    service = podman.guest.start(["podman", "system", "service", "--time", "0", socket])
    podman.sh("timeout 30 sh -c 'until test -S /run/podman.sock; do :; done'")
    create = "network create -d canwharf -o can.interface=vcan9 other"
    why = podman.refused(f"docker -H {socket} {create}")
    assert "the option can.interface is missing" in why
    assert "Docker's API on Podman's socket drops options" in why
    podman.sh(f"docker -H {socket} run -d --name ecu1 --network drive ecu sleep 100000")
    podman.assert_exactly_once("host:vcan0", podman.of_podman("ecu1"))
    service.kill()


def test_whose_it_is(podman: Engines) -> None:
    """By the names that `podman ps` shows."""
    podman.podman("ecu1")
    said = podman.sh("python3 -m canwharf status").splitlines()
    # Networks of earlier tests may be there for ten minutes more.
    assert [line for line in said if line.startswith("  networks: ") and "podman.drive" in line]
    assert [line.split()[1:3] for line in said if "ecu1" in line] == [["ecu1", "can0"]]


@pytest.fixture(scope="module")
def users(machine: Engines) -> Iterator[tuple[User, User, User]]:
    """Two of the group that root allows, and one who is not in it."""
    with allowed(machine):
        yield User(machine, "ann"), User(machine, "ben"), User(machine, "eve", member=False)


def test_rootless_containers_on_one_bus_with_all_others(
    podman: Engines, users: tuple[User, User, User]
) -> None:
    """Two users' with the same names are two; and each goes with its own call."""
    ann, ben, _eve = users
    for each in (ann, ben):
        each.run(f"{CREATE}=vcan0 drive")
    podman.network()
    podman.container("ecu1")
    own = podman.podman("ecu1")
    everyone = ["host:vcan0", podman.member("ecu1"), own, ben.podman("ecu1")]
    podman.assert_exactly_once(*everyone, ann.podman("ecu1"))
    said = podman.sh("python3 -m canwharf status")
    assert f"podman-{ann.uid}.drive" in said
    ann.run("podman rm -ft 0 ecu1")
    podman.assert_exactly_once(*everyone)
    podman.end_daemon("KILL")
    podman.start_daemon("--allow-group", "can")
    podman.assert_exactly_once(*everyone, ann.podman("ecu1"))
    for each in (ann, ben):
        each.clean()


def test_a_rootless_container_on_an_adapter_that_root_has_set_up(
    podman: Engines, users: tuple[User, User, User]
) -> None:
    """Frames pass to and from the wire, and between two of them."""
    ann = users[0]
    with plugged(podman) as wire:
        podman.sh(f"ip link set {NAME} type can bitrate 500000 && ip link set {NAME} up")
        ann.run(f"{CREATE}={NAME} motor")
        first, second = ann.podman("ecu1", "motor"), ann.podman("ecu2", "motor")
        podman.assert_exactly_once(first, second)
        ann.run("podman exec -d ecu1 sh -c 'candump -n 1 can0,123:7ff >/tmp/heard'")
        podman.sh(WAIT.format(f"nsenter -n -t {first[:-5]} grep -q can0 /proc/net/can/rcvlist_fil"))
        wire.write(b"t1232BEEF\n")
        podman.sh(WAIT.format(f"grep -q BE.EF /proc/{first[:-5]}/root/tmp/heard"))
        ann.run("podman exec ecu2 cansend can0 456#CAFE && podman rm -fat 0")
        assert pull(wire).split().count("t4562CAFE") == 1
    ann.clean()


def test_users_reach_nothing_of_others(podman: Engines, users: tuple[User, User, User]) -> None:
    """Neither without the group, nor by a call of their own making."""
    ann, _ben, eve = users
    podman.podman("ecu1")
    podman.sh("ip netns add roots")
    why = eve.refused(f"{CREATE}=vcan0 drive")
    assert "Permission denied; it is for a group that root has allowed" in why
    for path, words in (
        ("/proc/self/ns/net", f"it belongs to the user 0, and not to {ann.uid}"),
        ("/run/netns/roots", f"it belongs to the user 0, and not to {ann.uid}"),
        ("/run/netns/none", "in no network namespace"),
        ("/dev/null", "it is not a network namespace"),
    ):
        done = ann.plugin(f"setup {path}", container="c")
        assert (done.status, words in json.loads(done.stdout)["error"]) == (1, True), done.stdout
    container = podman.sh("podman inspect -f '{{.Id}}' ecu1")
    assert ann.plugin("teardown /proc/self/ns/net", container, "ecu1").status == 0
    assert [each.partition(".")[0] for each in podman.endpoints()] == ["ecu1"]
    assert "404 Not Found" in ann.ask("Canwharf.Sync")
    podman.sh("ip netns del roots")
    eve.run("cansend vcan0 123#")  # outside of containers no right is needed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("can.interface=vcan0 --opt can.bitrate=500000", "as root has set it up"),
        ("can.interface=vcan0 --opt can.mode=move", "as root has set it up"),
        ("can.interface=eth7", "the host has no such CAN interface; without root, only a vcan"),
        ("can.interface=can7 --opt can.type=physical", "the host has no such CAN interface"),
    ],
)
def test_what_a_user_without_root_may_not(
    podman: Engines, users: tuple[User, User, User], options: str, words: str
) -> None:
    """An adapter is root's to set up, and so are names on the host."""
    ann = users[0]
    run = "podman run --rm --network bad ecu true"
    why = ann.refused(f"podman network create --driver canwharf --opt {options} bad && {run}")
    assert words in why
    assert podman.endpoints() == []
    ann.clean()
