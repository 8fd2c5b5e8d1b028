"""What a user has when canwharf does not start: Docker, and a sentence that says what is wrong.

Each is a power cut and a boot, and then a restart of Docker. The seconds go into a table; what is
asserted is that Docker answers at all, as it would wait for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.guest import Guest
from tests.faults.broken import BACK, NAMES, READ_ONLY, REFUSED, UNUSABLE, VENV, Machine
from tests.faults.conftest import Keep
from tests.world.board import wait_running
from tests.world.installed import PROGRAM

# A program whose daemon never comes to the end of a CreateNetwork.
HANGING = f"""set -e
mkdir /opt/hanging && cd /opt/hanging && python3 -m zipfile -e {PROGRAM} .
find . -name '*.pyc' -delete
cd canwharf/bus
sed -i 's/^    def create_network(.*/&\\n        import time; time.sleep(1e6)/' service.py
grep -q 1e6 service.py
cd ../.. && python3 -m zipapp . -p /usr/bin/python3 -o {PROGRAM}
"""

# As many callers as a large machine's Docker has at a boot; how many of them were told the reason.
CROWD = """
import socket
callers = [socket.socket(socket.AF_UNIX) for _number in range(300)]
for each in callers:
    each.settimeout(120)
    each.connect("/run/docker/plugins/canwharf.sock")
    each.send(b"POST /NetworkDriver.Join HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
answers = []
for each in callers:
    try:
        answers.append(each.recv(4096))
    except ConnectionResetError:
        answers.append(b"")
print(sum(b"systemctl status canwharf.service" in each for each in answers))
"""

FIGURES: dict[str, tuple[str, str, str]] = {}


@pytest.fixture(scope="module")
def machine(suite: str, keep: Keep) -> Iterator[Machine]:
    """One for all; each test leaves it fixed, with its containers running."""
    with Guest(suite, systemd=True) as guest:
        yield Machine(guest)
    for way, figures in FIGURES.items():
        print("|", way, "|", " | ".join(figures), "|")  # noqa: T201
    keep("broken", FIGURES)


def note(way: str, boot: float, restart: float, containers: str) -> None:
    FIGURES[way] = f"{boot:.0f} s", f"{restart:.0f} s", containers


def back_to_work(machine: Machine) -> None:
    """The daemon starts, and so do the containers that Docker could not start."""
    machine.sh("systemctl restart canwharf.service")
    machine.sh(f"docker start {' '.join(NAMES)}")
    machine.assert_well()
    active = "systemctl is-active canwharf-refuse.socket canwharf-rescue.timer"
    assert machine.sh(active, check=False).split() == ["inactive", "inactive"]


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[pytest.mark.short] * (way == "hangs")) for way in REFUSED]
)
def test_docker_comes_up_without_it(machine: Machine, way: str) -> None:
    """And its containers without a bus; the others say why not, and the doctor what to do."""
    broken = REFUSED[way]
    machine.sh(broken.break_it)
    boot = machine.boot_broken()
    wait_running(machine, "plain")
    assert machine.running() == {"plain"}
    said = machine.refused("docker start ecu1")
    assert "systemctl status canwharf.service" in said
    failures = machine.doctor()
    (failure,) = [line for line in failures if line.split()[1] == "daemon:"]
    assert re.search(broken.words, failure), failure
    restart = machine.restart_docker()
    note(way, boot, restart, "not started, with the reason")
    machine.sh(broken.fix_it)
    back_to_work(machine)


def test_docker_comes_up_where_its_own_call_starts_the_driver(machine: Machine) -> None:
    """As on a board that wants a quick boot: only the socket is enabled."""
    broken = REFUSED["hangs"]
    machine.sh("systemctl disable -q canwharf.service && systemctl enable -q canwharf.socket")
    machine.sh(broken.break_it)
    boot = machine.boot_broken()
    wait_running(machine, "plain")
    assert machine.running() == {"plain"}
    note("hangs, and only the socket is enabled", boot, machine.restart_docker(), "not started")
    machine.sh(broken.fix_it)
    machine.sh("systemctl enable -q canwharf.service")
    back_to_work(machine)


@pytest.mark.parametrize("way", UNUSABLE)
def test_a_unit_that_systemd_cannot_use(machine: Machine, way: str) -> None:
    """The doctor says which, and what to do; Docker says that there is no driver."""
    broken = UNUSABLE[way]
    machine.sh(broken.break_it)
    boot = machine.boot_broken()
    wait_running(machine, "plain")
    assert machine.running() == {"plain"}
    assert 'plugin "canwharf" not found' in machine.refused("docker start ecu1")
    assert any(broken.words in line for line in machine.doctor())
    note(way, boot, machine.restart_docker(), "not started: Docker finds no driver")
    machine.sh(broken.fix_it)
    back_to_work(machine)


@pytest.mark.parametrize("way", BACK)
def test_what_does_not_keep_it_from_starting(machine: Machine, way: str) -> None:
    """The containers are back as after any power cut."""
    break_it, fix_it = BACK[way]
    machine.sh(break_it)
    boot = machine.boot_broken()
    wait_running(machine, *NAMES, "plain")
    machine.assert_well()
    restart = machine.restart_docker()
    note(way, boot, restart, "back")
    machine.sh(f"systemctl stop canwharf.service; {fix_it}; systemctl start canwharf.service")


@pytest.mark.parametrize("gone", ["bin/python3", "lib", "."])
def test_an_upgrade_of_the_distribution_takes_no_service_away(machine: Machine, gone: str) -> None:
    """The virtual environment's interpreter, or its library, is gone; the service has a copy."""
    machine.put_venv()
    machine.sh(f"cd {VENV} && rm -r $(realpath -s {gone})")
    boot = machine.boot_broken()
    wait_running(machine, *NAMES, "plain")
    machine.assert_well()
    shown = "the environment" if gone == "." else f"its {gone}"
    note(f"of a virtual environment, {shown} is gone", boot, machine.restart_docker(), "back")
    machine.sh("/usr/local/lib/canwharf/canwharf.pyz doctor")
    machine.canwharf("install")


def test_a_state_that_can_be_read_and_not_written(machine: Machine) -> None:
    """It starts, and says at each call and to the doctor what keeps containers away."""
    break_it, fix_it = READ_ONLY
    machine.sh(break_it)
    boot = machine.boot_broken()
    wait_running(machine, "plain")
    assert "Read-only file system" in machine.refused("docker start ecu1")
    assert any("Read-only file system" in line for line in machine.doctor())
    assert "Read-only file system" in machine.canwharf("status")[1]
    note("the state is read-only", boot, machine.restart_docker(), "not started, with the reason")
    machine.sh(fix_it)
    back_to_work(machine)


def test_it_is_tried_again_by_itself(machine: Machine) -> None:
    """Half a minute after a failure, as when a disk came late; no command is needed.

    The containers that Docker could not start are started, too.
    """
    broken = REFUSED["ends with a failure"]
    machine.sh(broken.break_it)
    machine.boot_broken()
    wait_running(machine, "plain")
    assert machine.running() == {"plain"}
    machine.sh(broken.fix_it)
    active = "timeout 200 sh -c 'until systemctl is-active -q canwharf.service; do :; done'"
    machine.sh(active, timeout=230)
    wait_running(machine, *NAMES)
    machine.assert_well()


def test_each_of_many_calls_at_once_gets_the_reason(machine: Machine) -> None:
    """Docker starts all containers of a boot at the same moment, each with a call of its own."""
    broken = REFUSED["ends with a failure"]
    machine.sh(broken.break_it)
    machine.sh("systemctl restart canwharf.service", check=False)
    refusing = "until systemctl is-active -q canwharf-refuse.socket; do sleep 0.2; done"
    machine.sh(
        f"timeout 100 sh -c '{refusing}' && systemctl stop canwharf-rescue.timer", timeout=130
    )
    told = machine.guest.run(["python3", "-c", CROWD], timeout=200).stdout
    assert told.strip() == "300", machine.log("canwharf-refuse.socket")
    machine.sh(broken.fix_it)
    machine.sh("systemctl restart canwharf.service")


def test_it_waits_for_a_docker_that_boots(machine: Machine) -> None:
    """With its containers: Docker does not answer while it starts them, and tries each once."""
    broken = REFUSED["ends with a failure"]
    machine.sh(broken.break_it)
    machine.boot_broken()
    wait_running(machine, "plain")
    machine.sh("pkill -STOP -x dockerd")
    machine.sh(broken.fix_it)
    waiting = "until systemctl is-active -q canwharf-rescue@containers.service; do sleep 0.2; done"
    machine.sh(f"timeout 200 sh -c '{waiting}'", timeout=230)
    assert machine.property("canwharf.service", "ActiveState") == "active"
    machine.sh("pkill -CONT -x dockerd")
    wait_running(machine, *NAMES)
    machine.assert_well()


def test_one_that_hangs_in_its_work_is_ended(machine: Machine) -> None:
    """Docker's call has no time limit; the next daemon answers the next one."""
    machine.sh(HANGING)
    machine.sh("systemctl restart canwharf.service")
    asked = machine.guest.start("docker network create -d canwharf -o can.interface=vcan7 bus7")
    assert asked.wait(150, check=False).status != 0
    assert "create_network" in machine.log()
    machine.sh("systemctl start canwharf.service")  # which is under way already
    assert machine.property("canwharf.service", "Result") == "success"
    # Not a restart: Docker 26.1 loses that race with itself at times ("task already exists").
    machine.sh("docker run --rm --network bus0 ecu true")
    machine.put_program()
    machine.sh("systemctl restart canwharf.service")
    machine.assert_well()
