"""What a board has that wants a quick boot: the socket is enabled, and not the service."""

from __future__ import annotations

from lab.guest import Guest
from tests.world.board import wait_running
from tests.world.installed import Installed

ECUS = ("ecu1", "ecu2")


def test_a_power_cut_with_the_socket_alone(suite: str) -> None:
    """Docker's first call starts the driver, and waits for it; the containers are back."""
    with Guest(suite, systemd=True) as guest:
        board = Installed(guest)
        board.put_program()
        board.canwharf("install")
        board.network()
        for name in ECUS:
            board.container(name, more="--restart always")
        board.sh("systemctl disable -q canwharf.service && systemctl enable -q canwharf.socket")
        board.canwharf("install")  # as for an upgrade
        assert board.sh("systemctl is-enabled canwharf.service", check=False) == "disabled"
        board.boot_after_power_cut()
        wait_running(board, *ECUS)
        board.assert_exactly_once("host:vcan0", *(board.member(name) for name in ECUS))
        assert len(board.rules()) == 24
        serving = int(board.property("canwharf.service", "ActiveEnterTimestampMonotonic"))
        docker = int(board.property("docker.service", "ExecMainStartTimestampMonotonic"))
        assert docker < serving
