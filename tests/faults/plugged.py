"""A machine that runs systemd, with Docker and canwharf as its managed plugin."""

from __future__ import annotations

from typing import ClassVar

from lab import plugin
from lab.guest import Guest
from tests.world.board import Board

NAME = "canwharf:latest"
PROCESS = "pgrep -f '^/usr/bin/python3 -IS .*/canwharf/__main__.py serve'"


class PluginBoard(Board):
    """Docker starts the plugin, so there is no daemon of ours to start."""

    driver: ClassVar[str] = NAME

    def install(self) -> None:
        """Make the plugin of the folder that the host has prepared, and switch it on."""
        self.sh(f"docker plugin create {NAME} /share/plugin")
        self.sh(f"docker plugin enable {NAME}")

    def remove(self) -> None:
        """Take the plugin away, though it is in use."""
        self.sh(f"docker plugin disable -f {NAME} && docker plugin rm -f {NAME}")

    def load_modules(self) -> None:
        """What the documentation says, for now and for each boot."""
        path = "/etc/modules-load.d/canwharf.conf"
        self.sh(f"mkdir -p /etc/modules-load.d && echo can-gw > {path} && modprobe can-gw")

    def reboot_after_power_cut(self) -> None:
        """Cut the power and boot; nothing is started by hand."""
        self.guest.run("sync")
        self.guest.power_cut()
        self.guest.boot()
        self.sh("systemctl start docker")  # returns when it has started: it is wanted anyway

    def log(self) -> str:
        """The plugin's log, which is in Docker's."""
        return self.sh("journalctl -b -u docker -o cat | grep -a plugin=", check=False)

    def state(self) -> str:
        """Everything that helps to understand a failure."""
        commands = ("ip -d link", "cangw -L", "docker ps -a", "docker plugin ls")
        shown = [f"$ {each}\n{self.sh(each, check=False)}" for each in commands]
        return "\n".join([*shown, "$ the plugin's log", self.log()])

    def wait_until(self, command: str) -> None:
        """Until a command succeeds."""
        self.sh(f"timeout 90 sh -c 'until {command}; do :; done'", timeout=100)


def machine(suite: str) -> Guest:
    """A guest that has the plugin's folder."""
    guest = Guest(suite, systemd=True)
    plugin.cached(plugin.native(), guest.share / "plugin")
    return guest
