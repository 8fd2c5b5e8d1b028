"""The bus of a test: containers are run on it, and frames sent, expected and recorded.

Rules:

- Each bus has a name and a host interface that no other has: tests may run side by side.
- `expect` sees every frame since the bus was made, and returns each at most once. So a frame that
  came before the call is not missed, and the order of two calls does not matter.
- A sender is called as in `run`. A container of others is called as Docker calls it.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from select import select
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from canwharf.bus.report import Names
from canwharf.daemon.instance import usual
from canwharf.errors import CanwharfError, KernelError
from canwharf.frames.capture import Capture
from canwharf.frames.frame import BRS, HOST, WIRE, Frame
from canwharf.frames.sources import Sources, unnamed
from canwharf.frames.transmit import Transmitter
from canwharf.operator.render.terminal import sanitize
from canwharf.testing import engine
from canwharf.testing.engine import UnavailableError
from canwharf.testing.monitor import Monitor
from canwharf.testing.recording import Recording
from canwharf.testing.report import failure, frames_text, log_text
from canwharf.testing.wanted import Wanted, id_of

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.images import Image
    from docker.models.networks import Network

DRIVER = "canwharf"
PREFIX = "canwharf-test-"  # of all that a test has in Docker
WITHIN = 10.0  # seconds that `expect` waits: a busy machine starts a container in some
_FULL = 0.001  # seconds until an adapter's full queue is tried again
_TAIL = 20  # lines of a log
_OURS = re.compile(f"^{PREFIX}[0-9a-f]{{8}}-")  # the container may be another bus's
_FD_LENGTHS = (*range(9), 12, 16, 20, 24, 32, 48, 64)  # ISO 11898-1


OPEN: list[Bus] = []  # those that are there now, for the report of a failure


class Bus:
    """A CAN bus that is there from `with` on: a Docker network, removed with its containers.

    `name` is the network's, `interface` the bus's on the host, `network` Docker's object for it.
    """

    network: Network

    def __init__(
        self, options: Mapping[str, object] | None = None, label: str = "bus", test: str = ""
    ) -> None:
        """`options` are the driver's. `label` is how reports and recordings call the bus.

        `test` is for people who look at Docker's networks.
        """
        number = uuid4().hex[:8]
        self.name = f"{PREFIX}{number}"
        wanted = {key: str(value) for key, value in (options or {}).items()}
        prefix = {} if "can.ifname" in wanted else {"can.name": "can"}
        self._options = {"can.interface": f"test-{number}", **prefix, **wanted}
        self.interface = self._options["can.interface"]
        self._label, self._test = label, test
        self._containers: dict[str, Container] = {}

    def __enter__(self) -> Self:
        """Make it. Raises UnavailableError, CanwharfError."""
        with ExitStack() as stack:
            self._client: DockerClient = engine.connect()
            stack.callback(self._client.close)
            stack.callback(engine.remove_network, self._client, self.name)
            self.network = engine.make_network(self._client, self.name, self._options, self._test)
            self._monitor = Monitor(self._capture(), self._names)
            stack.callback(self._monitor.close)
            self._transmitter = Transmitter(self.interface)
            stack.callback(self._transmitter.close)
            OPEN.append(self)
            stack.callback(OPEN.remove, self)
            self._made = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        """Remove it, with all that was run on it."""
        self._made.__exit__(*raised)  # type: ignore[arg-type]

    def _capture(self) -> Capture:
        names = Names({self.network.id: self._label}, {})
        which = usual(DRIVER)
        try:
            sources = Sources(which.name, which.state_dir, lambda: names, [self.interface])
            return Capture(sources).__enter__()
        except CanwharfError as error:
            raise UnavailableError(
                f"its frames cannot be read: {error}. Pytest must run on the machine where Docker "
                "runs, in its network namespace (--network host, if in a container)"
            ) from error

    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        *,
        name: str = "",
        **options: Any,  # noqa: ANN401 - Docker's own
    ) -> Container:
        """Start a container on the bus, with the interface can0; Docker's object for it.

        `name` is how it is called as a sender: the image's, if it is not given. `options` are those
        of docker-py's `containers.run`, as `environment`, `volumes`, `cap_add`. It returns when the
        program has been started: wait for its first frame before you send to it. Raises
        CanwharfError, ValueError.
        """
        __tracebackhide__ = True
        name = name or _name_of(image)
        if name in (HOST, WIRE):
            raise ValueError(f"name={name!r}: so other senders are called; choose another name")
        full = f"{self.name}-{name}"
        self._made.callback(engine.remove_container, self._client, full)
        begun = time_ns()
        container = engine.run(
            self._client, image, command, name=full, network=self.name, **options
        )
        self._containers[name] = container
        self._name(container, name, begun)
        return container

    def send(
        self,
        id: int,
        data: bytes = b"",
        *,
        extended: bool | None = None,
        fd: bool = False,
        brs: bool = False,
    ) -> Frame:
        """Send a frame from the host. What is returned is for `expect(…, after=…)`.

        Its time is that before it was sent. An id above 0x7FF has 29 bits, and each other one if it
        is `extended`. `fd` makes it CAN FD, `brs` with the faster bit rate. Raises ValueError,
        KernelError.
        """
        frame = Frame(time_ns(), self._label, HOST, id_of(id, extended), _data(data, fd or brs))
        if fd or brs:
            frame = frame._replace(fd=BRS if brs else 0)
        deadline = monotonic() + WITHIN
        while not self._transmitter.send(frame):
            if monotonic() >= deadline:
                hint = "nobody on the wire acknowledges its frames"
                raise KernelError("send a frame on", self.interface, errno.ENOBUFS, hint=hint)
            select((), (), (), _FULL)
        return frame

    def expect(
        self,
        id: int | None = None,
        *,
        sender: str = "",
        data: bytes | None = None,
        where: Callable[[Frame], object] | None = None,
        extended: bool | None = None,
        after: Frame | int | None = None,
        within: float = WITHIN,
    ) -> Frame:
        """The oldest frame of this kind that no `expect` has returned; it waits if none has come.

        What is not given may be anything. An id has 11 bits up to 0x7FF, unless `extended` is true.
        `where` is a function that says of a frame whether it is meant. `after` is a frame, or a
        time in nanoseconds since 1970: only what came later counts. `within` are seconds from this
        call. Raises AssertionError where no such frame comes.
        """
        __tracebackhide__ = True
        wanted = Wanted(
            None if id is None else id_of(id, extended),
            sender,
            None if data is None else memoryview(data).tobytes(),
            where,
            after.time if isinstance(after, Frame) else after,
        )
        deadline = monotonic() + within
        frame = self._monitor.find(wanted, deadline)
        if frame is None:
            raise AssertionError(self._why(wanted, within))
        return frame

    @property
    def frames(self) -> list[Frame]:
        """All frames until now, in order: for what is no question of waiting."""
        return self._monitor.all()

    def record(self, path: str | os.PathLike[str]) -> Recording:
        """Write all frames from now on into a file, until the end of the test or of a `with`.

        The file must not exist; its ending says the format, as for `canwharf record`. Raises
        RecordingError.
        """
        __tracebackhide__ = True
        recording = self._monitor.record(os.fspath(path))
        self._made.callback(recording.close)
        return recording

    def report(self) -> list[tuple[str, str]]:
        """What the report of a failure has, as titles and texts."""
        monitor = self._monitor
        text = frames_text(monitor.all(), monitor.begun, monitor.forgotten, monitor.lost)
        return [(f"CAN frames on {self._label}", text), *self._logs()]

    def _name(self, container: Container, name: str, begun: int) -> None:
        """Learn as which endpoint a container that was started at this time sends."""
        if endpoint := engine.endpoint_of(container, self.name):
            self._monitor.learn({unnamed(endpoint): name})
            return
        # It has ended, and Docker has forgotten its endpoint: what is of no other one was its own.
        self._monitor.name()
        self._monitor.learn(dict.fromkeys(self._monitor.unnamed(since=begun), name))

    def _names(self) -> dict[str, str]:
        """The names of containers that run, as they were started again, or by others."""
        return {
            unnamed(endpoint): _OURS.sub("", name)
            for endpoint, name in engine.endpoints(self.network).items()
        }

    def _why(self, wanted: Wanted, within: float) -> str:
        """Why a frame did not come."""
        instead = wanted.instead(self._monitor.all(), self._monitor.found())
        return failure(wanted, within, (*instead, *self._around(wanted.sender)))

    def _around(self, sender: str) -> Iterator[str]:
        """What else may be the reason."""
        for name, container in self._containers.items():
            state = engine.state_of(container)
            if state != engine.RUNS:
                yield f"the container {name} {state}"
        if sender not in {"", HOST, WIRE, *self._containers}:
            yield f"no container was run as {sender}; there are: {_listed(self._containers)}"
        if lost := self._monitor.lost:
            yield f"{lost} frames came faster than they were read, and were lost here"

    def _logs(self) -> Iterator[tuple[str, str]]:
        for name, container in self._containers.items():
            state, log = engine.state_of(container), engine.log_of(container, _TAIL)
            yield f"container {sanitize(name)}", log_text(f"it {state}", log)


def _name_of(image: str | Image) -> str:
    """What a container of this image is called: the image's name, without registry and tag."""
    word = image if isinstance(image, str) else (image.tags or [image.short_id])[0]
    return re.split("[:@]", word.rpartition("/")[2])[0]


def _data(data: bytes, fd: bool) -> bytes:
    """The data of a frame. Raises ValueError where no such frame can have so much."""
    data = memoryview(data).tobytes()  # of a number, bytes() would make so many zeros
    if fd and len(data) not in _FD_LENGTHS:
        lengths = ", ".join(map(str, _FD_LENGTHS[9:]))
        raise ValueError(f"{len(data)} bytes: a CAN FD frame has 0 to 8, {lengths}")
    if not fd and len(data) > 8:
        raise ValueError(f"{len(data)} bytes: more than 8 need fd=True")
    return data


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
