"""Whatever bytes arrive, the daemon goes on and the next caller is answered.

The fuzzing starts from the files in tests/unit/daemon/corpus/: requests of every sort, whole and
broken. An input that ever ended the daemon is added there, one file each.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from canwharf.daemon.calls import front_ends
from tests.fake.daemon import Daemon
from tests.fake.http import Loop
from tests.fake.kernel import FakeKernel

CORPUS = {path.name: path.read_bytes() for path in (Path(__file__).parent / "corpus").iterdir()}
GOOD = CORPUS["activate"]
CALLS = ("CreateNetwork", "DeleteNetwork", "CreateEndpoint", "DeleteEndpoint", "Join", "Leave")

mutations = st.builds(
    lambda whole, place, cut, filling: whole[:place] + filling + whole[place + cut :],
    st.sampled_from(sorted(CORPUS.values())),
    st.integers(0, 200),
    st.integers(0, 40),
    st.binary(max_size=40),
)
inputs = st.lists(st.one_of(mutations, st.binary(max_size=300)), min_size=1, max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)
fields = st.sampled_from(["NetworkID", "EndpointID", "Options", "SandboxKey", "Interface"])


def outlives(pieces: list[bytes]) -> None:
    """Send these, then a good request on another connection."""
    with tempfile.TemporaryDirectory() as directory:
        loop = Loop(Path(directory) / "s")
        caller = loop.caller()
        for piece in pieces:
            try:
                caller.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                break  # it was hung up on, as it may be
        other = loop.caller()
        other.send(GOOD)
        assert [status for status, _body in other.answers()] == [200]
        loop.end()


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus_ends_nothing(name: str) -> None:
    outlives([CORPUS[name]])


@given(inputs)
def test_garbage_on_the_socket_ends_nothing(pieces: list[bytes]) -> None:
    outlives(pieces)


@given(st.sampled_from(CALLS), st.dictionaries(fields, values, max_size=5))
@example("CreateNetwork", {"NetworkID": "n", "Options": {"com.docker.network.generic": []}})
@example("CreateNetwork", {"NetworkID": "n", "Options": {"com.docker.network.generic": {"": 1}}})
def test_any_fields_get_an_answer_of_the_protocols_form(
    call: str, content: dict[str, object]
) -> None:
    """And what is refused leaves nothing in the kernel."""
    with tempfile.TemporaryDirectory() as directory:
        kernel = FakeKernel()
        daemon = Daemon(Path(directory), kernel)
        before = kernel.snapshot()
        routes = front_ends(daemon.service, daemon.maintenance.sync)
        status, body = routes.answer(f"/NetworkDriver.{call}", json.dumps(content).encode())
        answer = json.loads(body)
        assert status in (200, 400), answer
        assert isinstance(answer, dict)
        if "Err" in answer:
            assert answer["Err"]
            assert kernel.snapshot() == before
        daemon.end()


def test_the_harness_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies of a bad request is noticed."""

    def dies(*_arguments: object) -> None:
        raise RuntimeError("as a bug would")

    monkeypatch.setattr("canwharf.daemon.server.Connection._refuse", dies)
    with pytest.raises(RuntimeError):
        outlives([CORPUS["tls-hello"] + b"\r\n\r\n"])
