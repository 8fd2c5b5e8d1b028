"""The executable of Podman and CNI, as it is started, on a real socket."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from canwharf import plugin
from canwharf.daemon.calls import RUNTIME
from tests import REPOSITORY
from tests.fake.http import Loop
from tests.fake.runtime import body

SOURCE = REPOSITORY / "src/canwharf/plugin.py"
PYTHON = (sys.executable, "-I", "-S")
ADD = {"CNI_COMMAND": "ADD", "CNI_NETNS": "/proc/self/ns/net"}


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path / "canwharf.sock")
    yield loop
    loop.end()


class Called:
    """One start of the executable; `limit` is that of its waits, in seconds."""

    def __init__(
        self,
        folder: Path,
        loop: Loop | None,
        *words: str,
        content: bytes = b"{}",
        limit: int = 60,
        endless: bool = False,
        users: Path = Path("/proc/self/uid_map"),
        variables: Mapping[str, str] = {},
    ) -> None:
        program = folder / "canwharf"
        text = SOURCE.read_text().replace("/run/docker/plugins", str(folder))
        text = text.replace("/var/lib/canwharf.rootless", str(folder / "users"))
        text = text.replace("/proc/self/uid_map", str(users))
        program.write_text(text.replace("LIMIT = 10", f"LIMIT = {limit}"))
        (folder / "stdin").write_bytes(content)
        reading, writing = os.pipe()
        with (folder / "stdin").open("rb") as whole:
            child = subprocess.Popen(
                [*PYTHON, str(program), *words],
                stdin=reading if endless else whole,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(variables),
            )
        with child:
            if loop is not None:
                loop.serve_until(child)
            self.output, self.errors = child.communicate()
            self.status = child.returncode
        os.close(reading)
        os.close(writing)


def test_a_call_arrives_as_it_was_made(tmp_path: Path, loop: Loop) -> None:
    """Words, input and namespace; the answer is printed as it is."""
    called = Called(tmp_path, loop, "setup", "/proc/self/ns/net", content=b'{"a":\n1}\0')
    assert (called.status, called.output, called.errors) == (0, loop.answer, b"")
    assert loop.calls == [(RUNTIME, b'setup\0/proc/self/ns/net\0\0{"a":\n1}\0')]
    assert [(each.st_dev, each.st_ino) for each in loop.passed] == [
        (each.st_dev, each.st_ino) for each in [os.stat("/proc/self/ns/net")]
    ]


def test_of_cni_the_variables_are_the_words(tmp_path: Path, loop: Loop) -> None:
    """Its arguments mean nothing, and other variables are not for the daemon."""
    called = Called(tmp_path, loop, "x", variables={"SECRET": "s", "CNI_ARGS": "", **ADD})
    assert called.status == 0
    [(_path, sent)] = loop.calls
    words = [f"{key}={value}" for key, value in {"CNI_ARGS": "", **ADD}.items()]
    assert sorted(sent.split(b"\0")) == sorted(body(words, {}).split(b"\0"))
    assert len(loop.passed) == 1


def test_an_error_of_the_daemon_is_one_of_the_executable(tmp_path: Path, loop: Loop) -> None:
    """In whatever form it came."""
    loop.status, loop.answer = 400, b'{"error": "no"}'
    called = Called(tmp_path, loop, "setup", "/none")
    assert (called.status, called.output) == (1, b'{"error": "no"}')
    assert loop.passed == []


def test_the_daemon_asks_for_a_socket_in_the_namespace(tmp_path: Path, loop: Loop) -> None:
    """For an adapter that moves; where we may not enter, the same call comes without anything."""
    loop.refusals = [428]
    called = Called(tmp_path, loop, "teardown", "/proc/self/ns/net")
    assert (called.status, called.output, called.errors) == (0, loop.answer, b"")
    first, second = loop.calls
    assert first == second
    sockets = [stat.S_ISSOCK(each.st_mode) for each in loop.passed]
    assert sockets == ([False, True] if os.geteuid() == 0 else [False])


@pytest.mark.parametrize("size", [plugin.SIZE - 1, plugin.SIZE, 5 * plugin.SIZE])
def test_a_large_input_does_not_fill_the_daemon(tmp_path: Path, loop: Loop, size: int) -> None:
    """The daemon refuses one of SIZE; it never sees more."""
    assert Called(tmp_path, loop, "create", content=b"x" * size).status == 0
    [(_path, sent)] = loop.calls
    assert len(sent) == len(b"create\0\0") + min(size, plugin.SIZE)


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_in_another_form_is_not_printed(tmp_path: Path, loop: Loop, status: int) -> None:
    """As of an older daemon, or of the socket that refuses calls while none starts."""
    loop.status, loop.answer = status, b'{"Err": "x"}'
    called = Called(tmp_path, loop, "setup", "/none")
    assert called.status == 1
    assert f"it answers {status}" in json.loads(called.output)["error"]
    assert Called(tmp_path, loop, variables={**ADD, "CNI_COMMAND": "DEL"}).output == b""


def test_without_a_daemon_a_start_fails_in_its_runtimes_form(tmp_path: Path) -> None:
    """With what to do: Podman shows the text, and so does kubectl describe node."""
    podman = Called(tmp_path, None, "setup", "/none")
    assert (podman.status, podman.errors) == (1, b"")
    assert "canwharf doctor" in json.loads(podman.output)["error"]
    for verb in ("ADD", "STATUS", "CHECK", "VERSION"):
        cni = Called(tmp_path, None, variables={**ADD, "CNI_COMMAND": verb})
        assert cni.status == 1
        error = json.loads(cni.output)
        assert (error["cniVersion"], error["code"]) == ("1.1.0", 50)
        assert "No such file or directory; see 'canwharf doctor'" in error["msg"]


def test_in_a_user_namespace_the_socket_is_another(tmp_path: Path) -> None:
    """Root's is hidden from a rootless Podman; where there is none, root has not allowed it."""
    users = tmp_path / "uid_map"
    users.write_text("0 1000 1\n1 100000 65536\n")
    called = Called(tmp_path, None, "setup", "/none", users=users)
    error = json.loads(called.output)["error"]
    assert f"{tmp_path}/users/canwharf.sock: No such file or directory; it is for a group" in error
    assert "canwharf install --allow-group GROUP" in error
    (tmp_path / "users").mkdir()
    loop = Loop(tmp_path / "users/canwharf.sock")
    assert Called(tmp_path, loop, "setup", "/none", users=users).output == loop.answer
    loop.end()


@pytest.mark.parametrize("words", [("teardown", "/proc/self/ns/net"), ()])
@pytest.mark.parametrize("verb", ["DEL", "GC"])
def test_removal_never_fails_for_want_of_a_daemon(
    tmp_path: Path, words: tuple[str, ...], verb: str
) -> None:
    """Or a pod stays for ever, and Podman forgets a container in disorder."""
    variables = {} if words else {**ADD, "CNI_COMMAND": verb}
    called = Called(tmp_path, None, *words, variables=variables)
    assert (called.status, called.output, called.errors) == (0, b"", b"")


@pytest.mark.parametrize("endless", [True, False])
def test_every_wait_ends(tmp_path: Path, endless: bool) -> None:
    """For input that does not end, and a daemon that does not answer: Podman waits with a lock."""
    loop = Loop(tmp_path / "canwharf.sock")  # it listens, and is never served
    for words, status in (("setup", 1), ("teardown", 0)):
        called = Called(tmp_path, None, words, "/none", limit=1, endless=endless)
        assert called.status == status
        if status:
            assert "no answer within 1 seconds" in json.loads(called.output)["error"]
    loop.end()


def test_a_start_costs_little_more_than_that_of_python() -> None:
    """A module of Python's library would double it: `make bench` has the times."""
    program = [*PYTHON, "-X", "importtime"]
    bare = subprocess.run([*program, "-c", "pass"], capture_output=True, check=True)
    done = subprocess.run(
        [*program, str(SOURCE)], capture_output=True, check=False, stdin=subprocess.DEVNULL, env={}
    )
    assert done.returncode == 1
    new = _imported(done.stderr) - _imported(bare.stderr)
    assert new <= {"_signal", "_socket", "posix"}


def _imported(said: bytes) -> set[str]:
    lines = [line for line in said.decode().splitlines() if "import time:" in line]
    return {line.rpartition("|")[2].strip() for line in lines}
