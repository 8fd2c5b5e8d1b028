"""The calls of runtimes that a daemon can die in, and what the runtime does then: CNI's here.

Podman's do the same below their own form: attach, and detach.
"""

from __future__ import annotations

import http.client

from canwharf.cni.api import Call
from tests.fake.runtime import body
from tests.faults.operations import Operation
from tests.faults.site import Gone, Refused, Site
from tests.world.container import Container

LIST, POD = "pods", "p" * 64
NET = f"cni.{LIST}.vcan0"
CONTENT = {"cniVersion": "1.1.0", "name": LIST, "can.interface": "vcan0"}
END = Call("", POD, "", "can0").endpoint


def call(site: Site, verb: str) -> None:
    """One call about the pod. Raises Gone, Refused."""
    path = site.spaces.get(END, site.containers.get((NET, END))) or Container()
    words = {"COMMAND": verb, "CONTAINERID": POD, "IFNAME": "can0", "NETNS": path.path}
    sent = body([f"CNI_{key}={value}" for key, value in words.items()], CONTENT)
    client = site.client._http
    try:
        client.request("POST", "/Canwharf.Runtime", sent)
        answer = client.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise Gone(str(error)) from error
    if answer.status != 200:
        raise Refused(text)


class Add(Operation):
    """ADD."""

    call = "Runtime"

    def prepare(self, site: Site) -> None:
        site.spaces[END] = Container()

    def ask(self, site: Site) -> None:
        call(site, "ADD")

    def again(self, site: Site) -> None:
        """A DEL after an ADD that failed, and the pod is tried again."""
        call(site, "DEL")
        call(site, "ADD")
        believe(site)

    def give_up(self, site: Site) -> None:
        call(site, "DEL")
        believe(site, running=False)


class AddAgain(Add):
    """ADD again, after one whose answer was lost."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        call(site, "ADD")

    def again(self, site: Site) -> None:
        call(site, "ADD")
        believe(site)


class Delete(Operation):
    """DEL."""

    call = "Runtime"

    def prepare(self, site: Site) -> None:
        site.spaces[END] = Container()
        call(site, "ADD")

    def ask(self, site: Site) -> None:
        call(site, "DEL")

    def again(self, site: Site) -> None:
        call(site, "DEL")
        believe(site, running=False)

    def give_up(self, site: Site) -> None:
        """The pod's namespace goes without another word: its endpoint is for us to collect."""
        there = END in site.known(NET)
        believe(site, running=False)
        if there:
            site.daemon.wait_for("garbage collecting an endpoint without container")
            site.daemon.wait_for("endpoint removed")


def believe(site: Site, running: bool = True) -> None:
    """What the runtime believes in; a network stays for a while after its last pod."""
    if NET in site.known():
        site.networks[NET] = "vcan0"
    container = site.spaces.pop(END)
    if running:
        site.names[END] = "can0"
        site.containers[NET, END] = container
    else:
        container.close()


OPERATIONS: tuple[type[Operation], ...] = (Add, AddAgain, Delete)
