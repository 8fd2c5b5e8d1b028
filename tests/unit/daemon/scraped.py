"""A daemon's figures as Prometheus reads them."""

from __future__ import annotations

import socket

from prometheus_client.parser import text_string_to_metric_families

from canwharf.bus.events import Event
from canwharf.daemon.metrics import Metrics
from canwharf.lean import Selector
from tests.fake.daemon import Daemon

Samples = dict[tuple[str, ...], float]


class Scraped:
    """A daemon's figures on a port of this machine, and the loop that serves them."""

    def __init__(self, daemon: Daemon) -> None:
        self.said: list[Event] = []
        self.metrics = Metrics("127.0.0.1:0", self.said.append)
        assert self.metrics._listening is not None
        self._address = self.metrics._listening.getsockname()
        self._selector = Selector()
        self.expire = self.metrics.begin(
            self._selector, daemon.service, daemon.reconciler, daemon.kernel
        )

    def step(self) -> None:
        """One round of the daemon's loop."""
        for key, _events in self._selector.select(0):
            key.data()

    def connect(self) -> socket.socket:
        """Somebody who connects, and is let in."""
        caller = socket.create_connection(self._address)
        caller.setblocking(False)
        self.step()
        return caller

    @property
    def kept(self) -> int:
        """How many connections the daemon has."""
        return len(self._selector._keys) - 1

    def ask(
        self, target: str = "/metrics", method: str = "GET", more: str = ""
    ) -> tuple[int, str, str]:
        """Status, head and body of one answer."""
        self.metrics._fresh_until = 0.0
        with self.connect() as caller:
            asked = f"{method} {target} HTTP/1.1\r\nHost: m\r\n{more}\r\n"
            caller.sendall(asked.encode())
            told = b""
            while True:
                self.step()
                try:
                    part = caller.recv(65536)
                except BlockingIOError:
                    continue
                if not part:
                    break
                told += part
        head, _, body = told.decode().partition("\r\n\r\n")
        return int(head.split()[1]), head, body

    def samples(self) -> Samples:
        """All figures: name and label values -> number."""
        status, _head, body = self.ask()
        assert status == 200, body
        return parsed(body)

    def end(self) -> None:
        for key in list(self._selector._keys.values()):
            key.fileobj.close()


def parsed(text: str) -> Samples:
    """As Prometheus reads it."""
    return {
        (each.name, *each.labels.values()): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def labels(bus: str, network: str, endpoint: str, interface: str) -> tuple[str, ...]:
    """The labels of a port, in the order of their names."""
    return bus, endpoint, interface, network
