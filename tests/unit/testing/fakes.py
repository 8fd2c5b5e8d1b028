"""A capture to which a test gives frames, and a Docker that has a container."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from docker.errors import APIError, NotFound

from canwharf.errors import CanwharfError
from canwharf.frames.capture import Capture
from canwharf.frames.frame import Frame


class FakeCapture(Capture):
    """What `Monitor` needs of a capture."""

    def __init__(self) -> None:
        self._ready = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._coming: deque[Frame | Exception] = deque()
        self.lost: dict[tuple[str, str], int] = {}

    def give(self, *frames: Frame | Exception) -> None:
        """These come next; an error is raised in their place."""
        self._coming += frames
        os.eventfd_write(self._ready, 1)

    def fileno(self) -> int:
        return self._ready

    @property
    def holding(self) -> bool:
        return False

    @property
    def losses(self) -> dict[tuple[str, str], int]:
        return self.lost

    def listener(self, interface: str) -> None:
        """There is no such interface."""

    def read(self, timeout: float | None = None) -> list[Frame]:
        del timeout
        return self.rest()

    def rest(self) -> list[Frame]:
        found = []
        with suppress(BlockingIOError):
            os.eventfd_read(self._ready)
        while self._coming:
            each = self._coming.popleft()
            if isinstance(each, Exception):
                raise each
            found.append(each)
        return found

    def close(self) -> None:
        os.close(self._ready)


class FakeContainer:
    """Docker's object for a container, which has ended if it has a status."""

    def __init__(self, name: str, endpoint: str, status: int | None = None, log: str = "") -> None:
        self.name, self._endpoint, self._status, self._log = name, endpoint, status, log
        self.removed = False

    @property
    def status(self) -> str:
        return "running" if self._status is None else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        network = self.name.rpartition("-")[0]
        endpoint = self._endpoint if self._status is None else ""
        return {
            "State": {"ExitCode": self._status, "Error": ""},
            "NetworkSettings": {"Networks": {network: {"EndpointID": endpoint}}},
        }

    def reload(self) -> None:
        if self.removed:
            raise NotFound("gone")

    def logs(self, tail: int) -> bytes:
        return "\n".join(self._log.splitlines()[-tail:]).encode()

    def remove(self, force: bool, v: bool) -> None:
        assert force
        assert v
        self.removed = True


class FakeDocker:
    """A client, with its containers and networks, which are one object here."""

    def __init__(self) -> None:
        self.containers = self.networks = self
        self.id = "n" * 64
        self.attrs: dict[str, Any] = {"Containers": {}}
        self.made: dict[str, FakeContainer] = {}
        self.next: list[FakeContainer | Exception] = []
        self.options: dict[str, Any] = {}
        self.network_gone = False
        self.disconnected: list[str] = []
        self.refusal: APIError | None = None

    def create(self, name: str, **options: Any) -> FakeDocker:  # noqa: ANN401
        self.options = {"name": name, **options}
        if self.refusal:
            raise self.refusal
        return self

    def run(self, image: str, command: object, name: str, **options: Any) -> FakeContainer:  # noqa: ANN401
        assert options["detach"]
        number = f"{len(self.made):x}" * 64
        following = self.next.pop(0) if self.next else FakeContainer(name, number)
        del image, command
        if isinstance(following, Exception):
            raise following
        following.name = name
        self.made[name] = following
        return following

    def get(self, name: str) -> Any:  # noqa: ANN401 - a container, or the network
        if name in self.made:
            return self.made[name]
        if name == self.options.get("name") and not self.refusal:
            return self
        raise NotFound("no such thing")

    def reload(self) -> None:
        pass

    def disconnect(self, container: str, force: bool) -> None:
        assert force
        self.disconnected.append(container)

    def remove(self) -> None:
        self.network_gone = True

    def close(self) -> None:
        pass


class FakeTransmitter:
    """A bus that takes all frames; `FakeTransmitter.sent` are those of all of them."""

    sent: list[Frame]

    def __init__(self, interface: str) -> None:
        type(self).sent = []
        del interface

    def send(self, frame: Frame) -> bool:
        self.sent.append(frame)
        return True

    def close(self) -> None:
        pass


@contextmanager
def refused() -> Iterator[list[str]]:
    """The lines of the failure that is raised within."""
    lines: list[str] = []
    try:
        yield lines
    except (AssertionError, CanwharfError) as error:
        lines += str(error).splitlines()
    assert lines, "it went through"
