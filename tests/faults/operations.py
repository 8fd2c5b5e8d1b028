"""The operations that a daemon can die in, and what its caller does then.

Each begins in a world where two containers talk on a bus. Afterwards the caller either asks
again until it has what it wanted (`again`), or gives up and cleans up (`give_up`); both leave
exactly what the caller then believes in.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.faults.site import Site, ip, wait_until

N, M = "n" * 64, "m" * 64
A, B, C = (letter * 64 for letter in "abc")


class Operation:
    """One call, in one situation; the daemon that answers it is `site.daemon`."""

    call = ""  # empty: no call, but the recovery at the start
    grace: float | None = None

    def prepare(self, site: Site) -> None:
        """What was before."""

    def ask(self, site: Site) -> None:
        """The call; raises Gone when the daemon dies in it."""
        site.call(self.call, N, C)

    def dead(self, site: Site) -> None:
        """What holds while no daemon runs."""

    def again(self, site: Site) -> None:
        """The caller asks again, and goes on to what it wanted."""

    def give_up(self, site: Site) -> None:
        """The caller cleans up."""
        site.call("DeleteEndpoint", N, C)

    @classmethod
    def name(cls) -> str:
        """As in the table."""
        return (cls.__doc__ or "").strip().rstrip(".")


class CreateNetwork(Operation):
    """CreateNetwork."""

    call = "CreateNetwork"

    def prepare(self, site: Site) -> None:
        site.networks[M] = "vcan1"

    def ask(self, site: Site) -> None:
        site.call("CreateNetwork", M)

    def again(self, site: Site) -> None:
        site.call("CreateNetwork", M)
        site.start(M, C)

    def give_up(self, site: Site) -> None:
        site.call("DeleteNetwork", M)
        del site.networks[M]


class CreateNetworkOnABus(CreateNetwork):
    """CreateNetwork on a bus that is in use."""

    def prepare(self, site: Site) -> None:
        site.networks[M] = "vcan0"


class CreateEndpoint(Operation):
    """CreateEndpoint."""

    call = "CreateEndpoint"

    def again(self, site: Site) -> None:
        site.start(N, C)


class Join(Operation):
    """Join."""

    call = "Join"

    def prepare(self, site: Site) -> None:
        site.call("CreateEndpoint", N, C)

    def again(self, site: Site) -> None:
        site.join(N, C)


class JoinExact(Join):
    """Join with an exact name."""

    def prepare(self, site: Site) -> None:
        site.names[C] = "battery"
        super().prepare(site)


class JoinExactAgain(JoinExact):
    """Join with an exact name again, after one whose answer was lost."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        site.call("Join", N, C)


class JoinUnknown(Join):
    """Join of an endpoint that is not known."""

    def prepare(self, site: Site) -> None:
        pass


class JoinWithoutBus(Join):
    """Join while the bus interface is missing."""

    def ask(self, site: Site) -> None:
        # Stopped meanwhile, or it would fix the bus before the call comes.
        stat = Path(f"/proc/{site.daemon.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S")
        os.kill(site.daemon.pid, signal.SIGSTOP)
        ip("link delete vcan0")
        site.client.send("Join", site.body("Join", N, C))
        os.kill(site.daemon.pid, signal.SIGCONT)
        site.client.receive()


class JoinAgain(Join):
    """Join again, after one whose answer was lost."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        site.call("Join", N, C)


class Leave(Operation):
    """Leave."""

    call = "Leave"

    def prepare(self, site: Site) -> None:
        site.start(N, C)

    def again(self, site: Site) -> None:
        site.stop(N, C)

    give_up = again


class DeleteEndpoint(Operation):
    """DeleteEndpoint."""

    call = "DeleteEndpoint"
    grace = 1.0  # of the daemon's patience, instead of a minute

    def prepare(self, site: Site) -> None:
        site.start(N, C)
        site.leave(N, C)

    def again(self, site: Site) -> None:
        site.call("DeleteEndpoint", N, C)

    def give_up(self, site: Site) -> None:
        """Docker logs the error and forgets the endpoint: it is for us to collect."""
        if C in site.known(N):
            site.daemon.wait_for("garbage collecting an endpoint without container")
            site.daemon.wait_for("endpoint removed")


class DeleteNetwork(Operation):
    """DeleteNetwork."""

    call = "DeleteNetwork"

    def prepare(self, site: Site) -> None:
        site.network(M, "vcan1")

    def ask(self, site: Site) -> None:
        site.call("DeleteNetwork", M)

    def again(self, site: Site) -> None:
        site.remove(M)

    def give_up(self, site: Site) -> None:
        """Docker keeps it and the user keeps using it, or its next start removes it."""
        if M in site.known():
            site.start(M, C)
            site.assert_whole()
            site.stop(M, C)
        site.restart()
        site.remove(M)


class DeleteNetworkWithEndpoint(DeleteNetwork):
    """DeleteNetwork with an endpoint left in it."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        site.start(M, C)
        site.leave(M, C)

    def give_up(self, site: Site) -> None:
        site.restart()
        site.remove(M)


class Recovery(Operation):
    """Recovery at the start, with the bus interface missing."""

    def ask(self, site: Site) -> None:
        site.daemon.wait_for("restored rules")

    def give_up(self, site: Site) -> None:
        site.stop(N, B)


OPERATIONS: tuple[type[Operation], ...] = (
    CreateNetwork,
    CreateNetworkOnABus,
    CreateEndpoint,
    Join,
    JoinUnknown,
    JoinWithoutBus,
    JoinAgain,
    JoinExact,
    JoinExactAgain,
    Leave,
    DeleteEndpoint,
    DeleteNetwork,
    DeleteNetworkWithEndpoint,
    Recovery,
)


def before(site: Site, operation: Operation) -> None:
    """The world in which every operation begins: two containers that talk through it all."""
    site.network(N, "vcan0")
    site.start(N, A, B)
    operation.prepare(site)
