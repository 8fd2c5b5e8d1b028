"""Docker's names for ids: whatever it answers, and where it does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from time import monotonic

import pytest

from canwharf.bus.report import Names
from canwharf.docker import names

LIST = "/networks"
OURS = {"Driver": "canwharf"}
BUS0 = {**OURS, "Id": "n1", "Name": "bus0"}


@contextmanager
def engine(path: Path, answers: Mapping[str, object], ended: threading.Event) -> Iterator[str]:
    """An engine that gives these answers, and 404 to any other question; None hangs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path in answers
            if found and answers[self.path] is None:
                ended.wait(10)
                return
            body = json.dumps(answers.get(self.path)).encode()
            self.wfile.write(b"HTTP/1.0 %d x\r\n\r\n" % (200 if found else 404) + body)

        def log_message(self, *_words: object) -> None:
            pass

    with ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield str(path)
        finally:
            ended.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (
            {
                LIST: [
                    BUS0,
                    {**OURS, "Id": "n2", "Name": "idle"},
                    {"Id": "n3", "Driver": "bridge"},
                ],
                "/networks/n1": {"Containers": {"c1": {"Name": "ecu1", "EndpointID": "e1"}}},
                "/networks/n2": {"Containers": {}},
            },
            Names(
                {"n1": "bus0", "n2": "idle"},
                {"e1": "ecu1"},
                {"n1": frozenset({"e1"}), "n2": frozenset()},
                {"e1": "c1"},
            ),
        ),
        # removed in between
        ({LIST: [BUS0]}, Names({"n1": "bus0"}, {})),
        ({LIST: []}, Names({}, {})),
        ({}, None),
        ({LIST: {"message": "no"}}, None),
        (
            {LIST: [None, {**OURS, "Id": 7}, {**OURS, "Id": "n1"}], "/networks/n1": []},
            Names({"n1": ""}, {}),
        ),
    ],
)
def test_what_the_engine_tells(
    answers: Mapping[str, object], expected: Names | None, tmp_path: Path
) -> None:
    with engine(tmp_path / "docker.sock", answers, threading.Event()) as path:
        assert names.ask("canwharf", path=path) == expected


def test_an_engine_that_hangs_is_left_alone(tmp_path: Path) -> None:
    """It may be waiting for the daemon itself: status shows what is known."""
    answers = {LIST: [BUS0], "/networks/n1": None}
    started = monotonic()
    with engine(tmp_path / "docker.sock", answers, threading.Event()) as path:
        assert names.ask("canwharf", 0.2, path) == Names({"n1": "bus0"}, {})
        assert monotonic() - started < 5


def test_no_engine(tmp_path: Path) -> None:
    assert names.ask("canwharf", path=str(tmp_path / "none.sock")) is None


def test_where_containers_are(tmp_path: Path) -> None:
    """The path of the namespace of each that the engine tells of; one question a container."""
    answers = {
        "/containers/c1/json": {"NetworkSettings": {"SandboxKey": "/run/docker/netns/1"}},
        "/containers/c2/json": {"NetworkSettings": {"SandboxKey": ""}},
        "/containers/c3/json": {"NetworkSettings": None},
    }
    ids = {"e1": "c1", "e2": "c1", "e3": "c2", "e4": "c3", "e5": "gone", "e6": "lb-x"}
    with engine(tmp_path / "docker.sock", answers, threading.Event()) as path:
        found = names.sandboxes(ids, path=path)
    assert found == dict.fromkeys(("e1", "e2"), "/run/docker/netns/1")
