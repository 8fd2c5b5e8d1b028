"""A stand-in for the drivers that were here before, as Docker and the kernel see them.

    python3 -m tests.system.ancestor SOCKET [STATE]

It does what is known of rustycan4docker and docker-vxcan: a vcan without an alias, a pair for
each endpoint, rules that only echo; and, where it is given, the file that the former keeps of its
networks, read when it starts. Calls that are newer than they are have no answer (404). At SIGKILL
all of it stays, as with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from canwharf.daemon import sockets
from canwharf.daemon.calls import KIND
from canwharf.daemon.server import Server
from canwharf.lean import Selector

# What both of them answer. (docker-vxcan answers EndpointOpInfo, which nobody asks.)
CALLS = frozenset(
    {"Activate", "GetCapabilities", "CreateNetwork", "DeleteNetwork"}
    | {"CreateEndpoint", "DeleteEndpoint", "EndpointOperInfo", "Join", "Leave"}
)
PREFIX = "vxcan"  # of a host end's name, before the first eight digits of the endpoint's id

Call = dict[str, Any]


def run(*words: str) -> None:
    """One change."""
    subprocess.run(words, check=words[0] == "ip", capture_output=True)


class Driver:
    """Its networks, as it writes them down, and the endpoints of each."""

    def __init__(self, state: Path | None) -> None:
        self._state = state
        known = state.read_text() if state and state.exists() else "{}"
        self._networks: dict[str, dict[str, str]] = json.loads(known)
        self._endpoints: dict[str, list[str]] = {id: [] for id in self._networks}

    def answer(self, path: str, body: bytes, _sender: object = None) -> tuple[int, bytes]:
        """One call."""
        call = json.loads(body or b"{}")
        if (name := path.rpartition(".")[2]) not in CALLS:
            return 404, b""
        action = getattr(self, name.lower(), None)
        reply = action(call) if action else {"Implements": ["NetworkDriver"], "Scope": "local"}
        return 200, json.dumps(reply or {}).encode()

    def createnetwork(self, call: Call) -> None:
        """A vcan, if there is none, and a line in the file."""
        given = call["Options"].get("com.docker.network.generic") or {}
        network = {
            "device": given.get("vxcan.dev", "vcan"),
            "peer": given.get("vxcan.peer", "vcanp"),
            "canid": given.get("vxcan.id", "0"),
        }
        self._networks[call["NetworkID"]] = network
        self._endpoints[call["NetworkID"]] = []
        run("ip", "link", "add", "dev", bus(network), "type", "vcan")
        run("ip", "link", "set", "up", bus(network))
        if self._state:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            self._state.write_text(json.dumps(self._networks, indent=2))

    def createendpoint(self, call: Call) -> None:
        """A pair."""
        name = host(call["EndpointID"])
        self._endpoints[call["NetworkID"]].append(name)
        run("ip", "link", "add", "dev", name, "type", "vxcan", "peer", "name", f"{name}p")
        run("ip", "link", "set", "up", name)

    def join(self, call: Call) -> dict[str, object]:
        """Rules from and to everybody."""
        network, name = self._networks[call["NetworkID"]], host(call["EndpointID"])
        for other in (bus(network), *self._endpoints[call["NetworkID"]]):
            for source, destination in ((name, other), (other, name)):
                if source != destination:
                    run("cangw", "-A", "-s", source, "-d", destination, "-e")
                    run("cangw", "-A", "-s", source, "-d", destination, "-e", "-X")
        return {"InterfaceName": {"SrcName": f"{name}p", "DstPrefix": network["peer"]}}

    def deleteendpoint(self, call: Call) -> None:
        """The pair, and so its rules."""
        name = host(call["EndpointID"])
        self._endpoints[call["NetworkID"]].remove(name)
        run("ip", "link", "del", name)

    def deletenetwork(self, call: Call) -> None:
        """Nothing: no test asks for it."""

    def leave(self, call: Call) -> None:
        """Nothing."""


def bus(network: dict[str, str]) -> str:
    """The host interface of a network."""
    return network["device"] + network["canid"]


def host(endpoint: str) -> str:
    """The host end of an endpoint's pair."""
    return PREFIX + endpoint[:8]


def main() -> None:
    """Serve until killed."""
    selector = Selector()
    state = Path(sys.argv[2]) if sys.argv[2:] else None
    Server(selector, sockets.listen(sys.argv[1]), Driver(state).answer, KIND)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _events in selector.select():
            key.data()


if __name__ == "__main__":
    main()
