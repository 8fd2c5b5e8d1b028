"""The calls of runtimes about an adapter that moves (can.mode=move), which a daemon can die in.

A runtime goes on as in `attaching`. In the end the adapter is on the host again under its own name,
no endpoint has it, the next container gets it and has its frames, and a network that is removed
leaves nothing of ours on it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import ClassVar

from canwharf import plugin
from tests.faults.attaching import LIST, PODMAN, Add, AddAgain, Attaching, Delete, Setup, Teardown
from tests.faults.site import Gone, Refused, Site, ip, wait_until
from tests.world.adapter import LIMIT, Adapter
from tests.world.container import Container
from tests.world.host import can_interfaces
from tests.world.member import Member, entered, raw_socket

NAME = "motor"  # none that the kernel gives
OPTIONS = {"can.interface": NAME, "can.bitrate": "500000", "can.mode": "move"}


class Moving(Attaching):
    """One call about a container that is to have, or has, the adapter."""

    content: ClassVar[Mapping[str, object]] = {**LIST, **OPTIONS}
    network = f"cni.pods.{NAME}"
    adding, removing = "ADD", "DEL"

    def prepare(self, site: Site) -> None:
        self.adapter = Adapter(NAME)
        site.at_end.callback(self.adapter.remove)
        super().prepare(site)

    def deliver(self, site: Site, sent: bytes) -> None:
        """As the executable does it: with the namespace, then with a netlink socket in there."""
        try:
            with entered(self.path(site)):
                inside = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
                opened = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            with inside, os.fdopen(opened) as space:
                status, output = plugin.send(site.socket, sent, space.fileno())
                if status == plugin.SOCKET_NEEDED:
                    status, output = plugin.send(site.socket, sent, inside.fileno())
        except OSError as error:
            raise Gone(str(error)) from error
        if not status:
            raise Gone("no answer")
        if status != b"200":
            raise Refused(output.decode())

    def say_nothing(self, site: Site) -> None:
        there = self.network in site.known() and self.endpoint in site.known(self.network)
        site.spaces[self.endpoint].close()
        if there:
            site.daemon.wait_for("garbage collecting an endpoint without container")
            site.daemon.wait_for("endpoint removed")
        self.believe(site, running=False)

    def believe(self, site: Site, running: bool = True) -> None:
        if not running:
            self.end(site)
            site.spaces[self.endpoint] = Container()
            self.send(site, self.adding)
        self.assert_connected(site)
        self.send(site, self.removing)
        self.end(site)
        site.call("DeleteNetwork", self.network)
        assert "alias" not in ip(f"link show {NAME}")
        self.adapter.remove()

    def end(self, site: Site) -> None:
        """The namespace ends; the adapter is on the host, and nobody's."""
        site.spaces.pop(self.endpoint).close()
        wait_until(lambda: NAME in can_interfaces())
        assert self.network not in site.known() or not site.known(self.network)

    def assert_connected(self, site: Site) -> None:
        """The adapter is in the container, and frames pass in both directions."""
        assert NAME not in can_interfaces()
        with raw_socket(Member(self.path(site), "can0")) as inside:
            inside.settimeout(LIMIT)
            self.adapter.send("t1230")
            assert inside.recv(16)[:2] == (0x123).to_bytes(2, "little")
            inside.send((0x321).to_bytes(4, "little") + bytes(12))
        self.adapter.wait_for("t3210")


class AddMoved(Moving, Add):
    """ADD with a moved adapter."""


class AddMovedAgain(Moving, AddAgain):
    """ADD again with a moved adapter, after one whose answer was lost."""


class DeleteMoved(Moving, Delete):
    """DEL with a moved adapter."""

    give_up = Moving.say_nothing


class SetupMoved(Moving, Setup):
    """Podman's setup with a moved adapter."""

    content: ClassVar[Mapping[str, object]] = {
        **PODMAN,
        "network": {"name": "drive", "options": OPTIONS},
    }
    network = "podman.drive"
    adding, removing = "setup", "teardown"
    give_up = Moving.say_nothing

    def again(self, site: Site) -> None:
        """The user starts the container again, in a namespace of its own as Podman does."""
        site.spaces[self.endpoint].close()
        wait_until(lambda: self.adapter.index in {index for index, _name in socket.if_nameindex()})
        site.spaces[self.endpoint] = Container()
        self.send(site, "setup")
        self.believe(site)


class TeardownMoved(SetupMoved, Teardown):
    """Podman's teardown with a moved adapter."""

    again = Teardown.again


OPERATIONS: tuple[type[Attaching], ...] = (
    AddMoved,
    AddMovedAgain,
    DeleteMoved,
    SetupMoved,
    TeardownMoved,
)
