"""Calls about a container that may not send everything, which a daemon can die in.

What it may not send never arrives: not while the daemon is dead, and not after any way to go on.
"""

from __future__ import annotations

import select
import socket
import struct
from contextlib import ExitStack

from tests.faults.operations import A, B, C, JoinExact, N, Operation
from tests.faults.site import Site
from tests.world.member import raw_socket

BEFORE, AFTER = "~7E0-7EF", "~7E0"  # no frame of `assert_talking` has one of these ids
NEVER, LATER, MARK = 0x7E0, 0x7E8, 0x7FF
LIMIT = 10.0  # seconds
_FRAME = struct.Struct("=IB3x8s")


def heard(site: Site) -> set[int]:
    """Which ids A hears, of those that C sends as far as it can; B's mark comes behind them."""
    with ExitStack() as stack:
        members = [site.containers[N, endpoint].member("can0") for endpoint in (A, B)]
        a, b = (stack.enter_context(raw_socket(member)) for member in members)
        try:
            container = site.spaces.get(C) or site.containers[N, C]
            c = stack.enter_context(raw_socket(container.member(site.names.get(C, "can0"))))
            for id in (NEVER, LATER):
                c.send(_FRAME.pack(id, 8, bytes(8)))
        except (KeyError, OSError):
            pass  # it has no interface yet, or one that is down
        b.send(_FRAME.pack(MARK, 0, bytes(8)))
        return _until_mark(a)


def _until_mark(opened: socket.socket) -> set[int]:
    found: set[int] = set()
    while select.select([opened], [], [], LIMIT)[0]:
        id = _FRAME.unpack(opened.recv(72)[: _FRAME.size])[0]
        if id == MARK:
            return found
        found.add(id)
    raise AssertionError("the mark did not arrive")


class JoinGuarded(JoinExact):
    """Join with an exact name and a policy."""

    def prepare(self, site: Site) -> None:
        site.policies[C] = {"can.send": BEFORE, "can.receive": BEFORE}
        super().prepare(site)

    def dead(self, site: Site) -> None:
        assert heard(site) == set()

    def again(self, site: Site) -> None:
        self.dead(site)
        super().again(site)
        self.dead(site)


class Filter(Operation):
    """Another policy for a running container."""

    call = "Filter"

    def prepare(self, site: Site) -> None:
        site.policies[C] = {"can.send": BEFORE, "can.receive": BEFORE}
        site.start(N, C)

    def ask(self, site: Site) -> None:
        policy = {"can.send": AFTER, "can.receive": AFTER}
        body = {"Network": N, "Endpoint": C, "Policy": policy}
        site.client.call("Canwharf.Filter", body)

    def dead(self, site: Site) -> None:
        """The old one, or the new one."""
        assert heard(site) <= {LATER}

    def again(self, site: Site) -> None:
        self.dead(site)
        self.ask(site)
        assert heard(site) == {LATER}

    def give_up(self, site: Site) -> None:
        """By the daemon's start the kernel has what the disk has: the old one, or the new one."""
        policy = site.known(N)[C]["policy"]
        assert policy["can.send"] in (BEFORE, AFTER)
        assert heard(site) == ({LATER} if policy["can.send"] == AFTER else set())
        site.stop(N, C)


OPERATIONS: tuple[type[Operation], ...] = (JoinGuarded, Filter)
