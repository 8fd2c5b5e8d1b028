"""Options of a container as they are pasted where its engine keeps them."""

from __future__ import annotations

import shlex

import pytest

from canwharf.bus.delivery import Member
from canwharf.bus.model import Endpoint, Policy
from canwharf.bus.naming import Ifname
from canwharf.bus.report import Names
from canwharf.cli import paste
from canwharf.operator.status import Status

NAMES = Names({"n1": "drive bus"}, {"e1": "ecu1"})
GIVEN = {"can.send": "100-1FF+7DF", "can.rate": "100"}


def member(network: str = "n1", endpoint: str = "e1") -> Member:
    return Member("cwh0", None, network, endpoint)


def test_all_of_an_endpoints_options_are_told() -> None:
    """The new ones replace all that it had: without its name it would get another one."""
    words = Policy("none", "", "off")
    assert paste.options_of(Endpoint(Ifname(name="can7")), words) == {
        "can.send": "none",
        "can.rate": "off",
        "can.ifname": "can7",
    }
    assert paste.options_of(Endpoint(Ifname("ecu")), Policy()) == {"can.name": "ecu"}


def test_for_docker_and_compose() -> None:
    """The values in quotes for YAML; the commands need none for them."""
    compose, disconnect, connect = paste.lines(Status("canwharf", names=NAMES), member(), GIVEN)
    assert compose == '  driver_opts: {can.send: "100-1FF+7DF", can.rate: "100"}  # Compose'
    assert shlex.split(disconnect) == ["docker", "network", "disconnect", "drive bus", "ecu1"]
    options = ["--driver-opt", "can.send=100-1FF+7DF", "--driver-opt", "can.rate=100"]
    assert shlex.split(connect) == ["docker", "network", "connect", *options, "drive bus", "ecu1"]


def test_a_command_is_about_the_same_container_of_the_same_daemon() -> None:
    """As the user called it: the interface may be that of several networks of the container."""
    called = {"bus": "drive bus", "container": "ecu1"}
    assert (
        paste.command(" --driver-name other", called)
        == "canwharf filter --driver-name other 'drive bus' ecu1"
    )


def test_without_docker_there_is_no_command_with_made_up_names() -> None:
    (compose,) = paste.lines(Status("canwharf"), member(), GIVEN)
    assert "driver_opts" in compose


@pytest.mark.parametrize("engine", ["podman", "podman-1000"])
def test_for_podman(engine: str) -> None:
    (line,) = paste.lines(Status("canwharf"), member(f"{engine}.drive", "ecu1.0123"), GIVEN)
    assert "--network drive:can.send=100-1FF+7DF,can.rate=100" in line


def test_for_a_list_of_cni() -> None:
    line, where = paste.lines(Status("canwharf"), member("cni.drive", "pod.0123"), GIVEN)
    assert line == '  "can.send": "100-1FF+7DF", "can.rate": "100"'
    assert "all pods" in where
