"""The host's state in the words of the field's own tools, and waiting for it to change.

Runs in the guest. What is asserted comes from `cangw`, `ip` or sysfs, not from the code under test;
canwharf's netlink socket only acts and waits, where a program for each message would take too long.
Every wait is for an event and has a limit.
"""

from __future__ import annotations

import errno
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from canwharf.bus import naming
from canwharf.kernel import link, message, uapi
from canwharf.kernel.netlink import LinkEvents, Netlink
from canwharf.kernel.request import Request
from tests.world import rules
from tests.world.member import entered
from tests.world.rules import Rules

LIMIT = 20.0  # seconds: nothing here takes one
SYS_NET = Path("/sys/class/net")
_IFLA_OPERSTATE, _IFLA_CARRIER = 16, 33
_IF_OPER_UP = b"\6"


def run(*words: str, input: str = "", check: bool = True) -> str:
    """What a program prints; a failure is an error with its words."""
    done = subprocess.run(
        words, input=input, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}: {done.stderr}")
    return done.stdout


def ip(words: str) -> str:
    """Run `ip`, with the words as on a command line."""
    return run("ip", *words.split())


def can_interfaces() -> set[str]:
    """The names of the host's CAN interfaces, but for the hubs of buses that are there."""
    found = {path.name for path in SYS_NET.iterdir() if _hardware(path) == str(uapi.ARPHRD_CAN)}
    return {name for name in found if _hub_of(name) not in found}


def hubs() -> set[str]:
    """The names of the ends of hubs."""
    return {path.name for path in SYS_NET.iterdir() if _hub_of(path.name)}


def _hub_of(name: str) -> str:
    """The bus interface to whose hub this end belongs; empty if it is none."""
    try:
        owner = naming.parse_alias((SYS_NET / name / "ifalias").read_text().strip())
    except OSError:
        return ""
    return owner.bus if isinstance(owner, naming.HubOwner) else ""


def _hardware(path: Path) -> str:
    try:
        return (path / "type").read_text().strip()
    except OSError:  # it went away with a dying namespace
        return ""


def index_of(name: str) -> int:
    """An interface's index."""
    return socket.if_nametoindex(name)


def cangw_lines() -> list[str]:
    """The gateway's rules in cangw's words, without their counters."""
    listed = run("cangw", "-L", check=False)  # its status says nothing
    return [line.split("#")[0].strip() for line in listed.splitlines() if "cangw -A" in line]


def gateway_rules() -> Rules:
    """The gateway's rules of our form, and how often each is there."""
    return rules.parse(cangw_lines())[0]


def other_rules() -> list[str]:
    """The gateway's rules of another form, in cangw's words."""
    return rules.parse(cangw_lines())[1]


def wipe() -> None:
    """Delete every CAN interface of the host, and with them every gateway rule."""
    names = can_interfaces() | hubs() | {path.name for path in SYS_NET.glob("cw[bd]*")}
    if names:
        with requests() as netlink:
            netlink.batch([_delete(name) for name in names])  # of a pair one end is gone by then
    assert can_interfaces() | hubs() == set()


def wait_until(done: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait for link announcements until something has become true."""
    events = LinkEvents()
    try:
        deadline = monotonic() + limit
        while not done():
            left = deadline - monotonic()
            assert left > 0, "waited in vain"
            # Some things are not announced, or elsewhere, so look again now and then.
            select.select([events], [], [], min(left, 0.01))
            events.take()
    finally:
        events.close()


def wait_for_carrier(*namespaces: str) -> None:
    """Wait until all pairs there let frames through.

    When one end comes up, the kernel opens the other for sending a little later (linkwatch), and
    drops what is sent to it until then. The operational state tells when it has.
    """
    wait_until(lambda: all(_carrying(namespace) for namespace in namespaces))


def _carrying(namespace: str) -> bool:
    with entered(namespace), requests() as netlink:
        ask = Request(uapi.RTM_GETLINK, uapi.NLM_F_REQUEST, link._info(), "list", "links")
        for answer in netlink.dump(ask):
            told = message.attributes(answer.body, 16)  # behind struct ifinfomsg
            carrier, state = told.get(_IFLA_CARRIER), told.get(_IFLA_OPERSTATE)
            one = link.parse(answer)
            if one.kind == "vxcan" and one.up and carrier == b"\1" and state != _IF_OPER_UP:
                return False
    return True


@contextmanager
def requests() -> Iterator[Netlink]:
    """A netlink socket of this thread's namespace."""
    netlink = Netlink()
    try:
        yield netlink
    finally:
        netlink.close()


def _delete(name: str) -> Request:
    body = link._info() + message.attribute(uapi.IFLA_IFNAME, message.text(name))
    gone = frozenset({errno.ENODEV})
    return Request(uapi.RTM_DELLINK, uapi.NLM_F_REQUEST, body, "delete", name, gone)
