"""The yardstick: a driver that does the same work by one `ip` or `cangw` a change.

    python3 -m bench.yardstick SOCKET

It speaks the same protocol through the same server code, so that the difference is in how the
kernel is told. It keeps nothing on disk and checks nothing, which only makes it faster.
"""

from __future__ import annotations

import json
import subprocess
import sys

from canwharf.bus import naming
from canwharf.daemon import sockets
from canwharf.daemon.calls import KIND
from canwharf.daemon.server import Server
from canwharf.lean import Selector


def run(*words: str) -> None:
    """One change. `cangw` is judged by nothing: it is slow enough as it is."""
    subprocess.run(words, check=words[0] == "ip", capture_output=True)


class Driver:
    """Networks and their endpoints' host interfaces, in memory only."""

    def __init__(self) -> None:
        self.networks: dict[str, tuple[str, dict[str, str]]] = {}

    def answer(self, path: str, body: bytes, _sender: object = None) -> tuple[int, bytes]:
        """One call."""
        call = json.loads(body or b"{}")
        action = getattr(self, path.rpartition(".")[2].lower(), None)
        reply = action(call) if action else {"Implements": ["NetworkDriver"]}
        return 200, json.dumps(reply or {}).encode()

    def createnetwork(self, call: dict[str, str]) -> None:
        """The bus interface."""
        options = call["Options"]["com.docker.network.generic"]  # type: ignore[index]
        name = options["can.interface"]  # type: ignore[index]
        self.networks[call["NetworkID"]] = (name, {})
        run("ip", "link", "add", name, "mtu", "72", "type", "vcan")
        run("ip", "link", "set", name, "up")

    def join(self, call: dict[str, str]) -> dict[str, object]:
        """A pair, and rules from and to everybody on the bus."""
        bus, endpoints = self.networks[call["NetworkID"]]
        host = naming.host_end(call["NetworkID"], call["EndpointID"])
        inside = naming.container_end(call["NetworkID"], call["EndpointID"])
        run("ip", "link", "add", host, "mtu", "72", "type", "vxcan", "peer", "name", inside)
        run("ip", "link", "set", inside, "mtu", "72")
        run("ip", "link", "set", host, "up")
        run("ip", "link", "set", inside, "up")
        for other in (bus, *endpoints.values()):
            for source, destination in ((host, other), (other, host)):
                run("cangw", "-A", "-s", source, "-d", destination, "-e", "-i")
                run("cangw", "-A", "-s", source, "-d", destination, "-e", "-i", "-X")
        endpoints[call["EndpointID"]] = host
        return {"InterfaceName": {"SrcName": inside, "DstPrefix": "can"}}

    def deleteendpoint(self, call: dict[str, str]) -> None:
        """The pair, and by hand each of its rules, as the ancestors do."""
        bus, endpoints = self.networks[call["NetworkID"]]
        host = endpoints.pop(call["EndpointID"])
        for other in (bus, *endpoints.values()):
            for source, destination in ((host, other), (other, host)):
                run("cangw", "-D", "-s", source, "-d", destination, "-e", "-i")
                run("cangw", "-D", "-s", source, "-d", destination, "-e", "-i", "-X")
        run("ip", "link", "del", host)


def main() -> None:
    """Serve until killed."""
    selector = Selector()
    Server(selector, sockets.listen(sys.argv[1]), Driver().answer, KIND)
    while True:
        for key, _events in selector.select():
            key.data()


if __name__ == "__main__":
    main()
