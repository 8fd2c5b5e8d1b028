"""A machine without Docker: its calls over the real socket, namespaces as containers.

Not the `Site` of the kernel tests, whose daemon is in their process: this one can be killed.

Runs in the guest. What is asserted comes from `cangw`, `ip`, sysfs or real frames.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

from canwharf.bus import naming
from tests.faults.dying import LIMIT, Daemon, Fuse
from tests.world.container import Container
from tests.world.frames import exchange
from tests.world.host import (
    can_interfaces,
    cangw_lines,
    gateway_rules,
    ip,
    other_rules,
    wait_for_carrier,
    wait_until,
    wipe,
)
from tests.world.member import HOST, Member
from tests.world.rules import Rules, linear, mesh

__all__ = ["Gone", "Refused", "Site", "ip", "wait_until", "wipe"]

GENERIC = "com.docker.network.generic"


class Gone(Exception):  # noqa: N818 - it says what happened
    """The daemon ended in the middle of a call."""


class Refused(Exception):  # noqa: N818 - it says what happened
    """The daemon answered with an error."""


class Client:
    """Docker's end of the socket: one connection that is kept, POST, JSON, Content-Length."""

    def __init__(self, path: str) -> None:
        self._http = http.client.HTTPConnection("plugin", timeout=LIMIT)
        self._http.sock = socket.socket(socket.AF_UNIX)
        self._http.sock.settimeout(LIMIT)
        self._http.sock.connect(path)

    def send(self, call: str, body: dict[str, Any]) -> None:
        """Ask, without waiting for the answer."""
        headers = {"Accept": "application/vnd.docker.plugins.v1.2+json"}
        name = call if "." in call else f"NetworkDriver.{call}"
        self._http.request("POST", f"/{name}", json.dumps(body), headers)

    def receive(self) -> dict[str, Any]:
        """The answer. Raises Gone, Refused."""
        try:
            answer: dict[str, Any] = json.loads(self._http.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            raise Gone(str(error)) from error
        if answer.get("Err"):
            raise Refused(answer["Err"])
        return answer

    def call(self, call: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask and wait for the answer. Raises Gone, Refused."""
        self.send(call, body)
        return self.receive()

    def close(self) -> None:
        """Hang up."""
        self._http.close()


class Site:
    """A daemon, what its caller believes in, and the containers that run."""

    linear: ClassVar[bool] = True  # whether the kernel has what a linear bus needs

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="site-")
        self.networks: dict[str, str] = {}
        self.containers: dict[tuple[str, str], Container] = {}
        self.names: dict[str, str] = {}  # of endpoints that have an exact one
        self.policies: dict[str, dict[str, str]] = {}  # of endpoints that have one
        self.second_names: dict[tuple[str, str], str] = {}  # where such a one has two networks
        self.spaces: dict[str, Container] = {}  # where they are to be: there before they join
        self.at_end = ExitStack()  # what is left, after all else has ended
        self.socket = f"{self.directory}/canwharf.sock"
        self.start_daemon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close()
        self.daemon.kill()
        for container in (*self.containers.values(), *self.spaces.values()):
            container.close()
        self.at_end.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start_daemon(self, fuse: Fuse | None = None, grace: float | None = None) -> None:
        """A new daemon on the same state; whole when this returns, unless it dies in between."""
        self.daemon = Daemon(self.socket, f"{self.directory}/state", fuse, grace)
        if fuse is not None and not fuse.call:
            return  # it dies in its recovery, maybe before it takes a connection
        self.client = Client(self.socket)
        self.client.call("GetCapabilities", {})
        self.client.call("GetCapabilities", {})  # answered after the recovery

    def restart(self, fuse: Fuse | None = None, grace: float | None = None) -> None:
        """Kill the daemon and start another."""
        self.client.close()
        self.daemon.kill()
        self.start_daemon(fuse, grace)

    def call(self, call: str, network: str, endpoint: str = "") -> dict[str, Any]:
        """One of Docker's calls about a network or an endpoint. Raises Gone, Refused."""
        return self.client.call(call, self.body(call, network, endpoint))

    def body(self, call: str, network: str, endpoint: str = "") -> dict[str, Any]:
        """What Docker sends with a call."""
        body: dict[str, Any] = {"NetworkID": network}
        if call == "CreateNetwork":
            driver = {"can.interface": self.networks[network], "can.name": "can"}
            more = {GENERIC: driver, "com.docker.network.enable_ipv6": False}
            return {**body, "Options": more, "IPv4Data": [], "IPv6Data": []}
        if endpoint:
            body["EndpointID"] = endpoint
        if call == "CreateEndpoint":
            exact = {"can.ifname": self.names[endpoint]} if endpoint in self.names else {}
            options = {**exact, **self.policies.get(endpoint, {})}
            return {**body, "Interface": {}, "Options": options}
        if call == "Join":
            key = "/var/run/docker/netns/0123456789ab"
            if endpoint in self.names:
                key = self.spaces.setdefault(endpoint, Container()).path
            return {**body, "SandboxKey": key, "Options": {}}
        return body

    def network(self, network: str, interface: str) -> None:
        """Create a network."""
        self.networks[network] = interface
        self.call("CreateNetwork", network)

    def start(self, network: str, *endpoints: str) -> None:
        """Start containers."""
        for endpoint in endpoints:
            self.call("CreateEndpoint", network, endpoint)
            self.join(network, endpoint)

    def join(self, network: str, endpoint: str) -> None:
        """Join, and take the interface into a container."""
        self.settle(network, endpoint, self.call("Join", network, endpoint))

    def settle(self, network: str, endpoint: str, joined: dict[str, Any]) -> None:
        """Take what was joined into a container, as Docker does."""
        if "InterfaceName" not in joined:
            self.containers[network, endpoint] = self.spaces.pop(endpoint)
            return
        told = joined["InterfaceName"]
        container = self.containers.setdefault((network, endpoint), Container())
        container.take(told["SrcName"], told["DstPrefix"] + "0")

    def leave(self, network: str, endpoint: str) -> None:
        """Leave; the interface comes back to the host and the container ends."""
        self.call("Leave", network, endpoint)
        with self.containers.pop((network, endpoint)) as container:
            if endpoint not in self.names:
                container.give_back("can0", naming.container_end(network, endpoint))

    def stop(self, network: str, endpoint: str) -> None:
        """Stop a container in Docker's order."""
        self.leave(network, endpoint)
        self.call("DeleteEndpoint", network, endpoint)

    def remove(self, network: str) -> None:
        """Remove a network."""
        self.call("DeleteNetwork", network)
        del self.networks[network]

    def known(self, network: str = "") -> dict[str, Any]:
        """The networks on disk, or the endpoints of one."""
        text = Path(f"{self.directory}/state/state.json").read_text()
        networks: dict[str, Any] = json.loads(text)["networks"]
        return networks[network]["endpoints"] if network else networks

    def ports(self, interface: str) -> list[str]:
        """The host-side interfaces that a bus should have."""
        ends = [
            naming.host_end(network, endpoint)
            for network, endpoint in self.containers
            if self.networks[network] == interface
        ]
        return [interface, *ends]

    def inside(self, interface: str) -> list[Member]:
        """The containers' interfaces on a bus."""
        return [
            container.member(self.second_names.get(key) or self.names.get(key[1], "can0"))
            for key, container in self.containers.items()
            if self.networks[key[0]] == interface
        ]

    def assert_talking(self, *buses: Iterable[Member]) -> None:
        """Each frame between these members arrives exactly once."""
        wait_for_carrier(HOST, *(container.path for container in self.containers.values()))
        report = exchange(*(list(bus) for bus in buses))
        assert report.faults == [], report.faults[:5]

    def assert_whole(self) -> None:
        """Exactly what the caller believes in is in the kernel and on disk, and works."""
        interfaces = sorted(set(self.networks.values()))
        ports = {name: self.ports(name) for name in interfaces}
        wanted = {port for each in ports.values() for port in each}
        found = can_interfaces()
        assert found == wanted, f"interfaces {found}, right are {wanted}"
        rules: Rules = Counter()
        for each in ports.values():
            rules += linear(each) if self.linear else mesh(each)
        assert gateway_rules() == rules, "the rules are not exactly one of each"
        assert other_rules() == []
        assert set(self.known()) == set(self.networks), f"networks on disk: {set(self.known())}"
        if interfaces:
            self.assert_talking(*([Member(HOST, n), *self.inside(n)] for n in interfaces))

    def clean(self) -> None:
        """Docker's own order until nothing is left; and nothing is."""
        for network, endpoint in list(self.containers):
            self.stop(network, endpoint)
        for network in list(self.networks):
            self.remove(network)
        assert can_interfaces() == set()
        assert cangw_lines() == []
