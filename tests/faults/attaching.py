"""The calls of runtimes that a daemon can die in, and what the runtime does then: CNI's, Podman's.

Both attach and detach below their own form. But they go on otherwise after a failure: a kubelet
sends DEL until it succeeds, Podman says nothing more about a container that did not start.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import ClassVar

from canwharf.bus import naming
from canwharf.cni.api import Call
from tests.fake.runtime import body
from tests.faults.operations import Operation
from tests.faults.site import Gone, Refused, Site
from tests.world.container import Container

POD = "p" * 64
LIST = {"cniVersion": "1.1.0", "name": "pods"}
ONE_BUS = {**LIST, "can.interface": "vcan0"}
TWO_BUSES = {
    **LIST,
    "buses": {"vcan0": {}, "vcan1": {}},
    "args": {"cni": {"buses": "can0=vcan0,can1=vcan1"}},
}
PODMAN: Mapping[str, object] = {
    "container_id": POD,
    "container_name": "ecu",
    "network": {"name": "drive", "options": {"can.interface": "vcan0"}},
    "network_options": {"interface_name": "can0"},
}


class Attaching(Operation):
    """One call about a container, of which only its runtime knows."""

    call = "Runtime"
    verb: ClassVar[str]
    content: ClassVar[Mapping[str, object]] = ONE_BUS
    network = "cni.pods.vcan0"
    endpoint = Call("", POD, "", "can0").endpoint

    def send(self, site: Site, verb: str) -> None:
        """A call, in the form of the runtime. Raises Gone, Refused."""
        words = {"COMMAND": verb, "CONTAINERID": POD, "IFNAME": "can0", "NETNS": self.path(site)}
        sent = body([f"CNI_{key}={value}" for key, value in words.items()], self.content)
        self.deliver(site, sent)

    def deliver(self, site: Site, sent: bytes) -> None:
        """What the runtime's executable sends. Raises Gone, Refused."""
        runtime(site, sent)

    def path(self, site: Site) -> str:
        """The container's namespace."""
        return (site.spaces.get(self.endpoint) or self.running(site) or Container()).path

    def running(self, site: Site) -> Container | None:
        """The container, once it is on the bus."""
        return site.containers.get((self.network, self.endpoint))

    def prepare(self, site: Site) -> None:
        site.spaces[self.endpoint] = Container()

    def ask(self, site: Site) -> None:
        self.send(site, self.verb)

    def believe(self, site: Site, running: bool = True) -> None:
        """What the runtime believes in; a network stays for a while after its last container."""
        if self.network in site.known():
            site.networks[self.network] = "vcan0"
        container = site.spaces.pop(self.endpoint)
        if running:
            site.names[self.endpoint] = "can0"
            site.containers[self.network, self.endpoint] = container
        else:
            container.close()

    def say_nothing(self, site: Site) -> None:
        """The namespace goes without another word: its endpoint is for us to collect."""
        there = self.network in site.known() and self.endpoint in site.known(self.network)
        self.believe(site, running=False)
        if there:
            site.daemon.wait_for("garbage collecting an endpoint without container")
            site.daemon.wait_for("endpoint removed")


class Add(Attaching):
    """ADD."""

    verb = "ADD"

    def again(self, site: Site) -> None:
        """A DEL after an ADD that failed, and the pod is tried again."""
        self.send(site, "DEL")
        self.send(site, "ADD")
        self.believe(site)

    def give_up(self, site: Site) -> None:
        self.send(site, "DEL")
        self.believe(site, running=False)


class AddAgain(Add):
    """ADD again, after one whose answer was lost."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        self.send(site, "ADD")

    def again(self, site: Site) -> None:
        self.send(site, "ADD")
        self.believe(site)


class AddTwo(Add):
    """ADD on two buses."""

    content = TWO_BUSES
    second = "cni.pods.vcan1"

    def believe(self, site: Site, running: bool = True) -> None:
        super().believe(site, running)
        if self.second in site.known():
            site.networks[self.second] = "vcan1"
        if running:
            site.second_names[self.second, self.endpoint] = "can1"
            site.containers[self.second, self.endpoint] = site.containers[
                self.network, self.endpoint
            ]


class Delete(Attaching):
    """DEL."""

    verb = "DEL"
    give_up = Attaching.say_nothing

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        self.send(site, "ADD")

    def again(self, site: Site) -> None:
        self.send(site, "DEL")
        self.believe(site, running=False)


class Setup(Attaching):
    """Podman's setup."""

    verb = "setup"
    content: ClassVar[Mapping[str, object]] = PODMAN
    network = "podman.drive"
    endpoint = naming.implied_endpoint("ecu", POD)
    give_up = Attaching.say_nothing

    def send(self, site: Site, verb: str) -> None:
        self.deliver(site, body([verb, self.path(site)], self.content))

    def again(self, site: Site) -> None:
        """The user starts the container again."""
        self.send(site, "setup")
        self.believe(site)


class SetupAgain(Setup):
    """Podman's setup again, with no teardown before it."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        self.send(site, "setup")


class Teardown(Setup):
    """Podman's teardown."""

    verb = "teardown"

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        self.send(site, "setup")

    def again(self, site: Site) -> None:
        self.send(site, "teardown")
        self.believe(site, running=False)


def runtime(site: Site, sent: bytes) -> None:
    """Send this to the daemon, as the executable does. Raises Gone, Refused."""
    client = site.client._http
    try:
        client.request("POST", "/Canwharf.Runtime", sent)
        answer = client.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise Gone(str(error)) from error
    if answer.status != 200:
        raise Refused(text)


OPERATIONS: tuple[type[Operation], ...] = (
    Add,
    AddAgain,
    AddTwo,
    Delete,
    Setup,
    SetupAgain,
    Teardown,
)
