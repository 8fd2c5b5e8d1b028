"""The caller of a runtime's executable: words and input in, status and output back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from canwharf.daemon.calls import RUNTIME, front_ends
from tests.fake.daemon import Daemon

DRIVE: dict[str, object] = {
    "name": "drive",
    "id": "d" * 64,
    "driver": "canwharf",
    "options": {"can.interface": "vcan0"},
}


def body(words: list[str], content: object) -> bytes:
    """A call as the executable sends it."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"\0".join([*(word.encode() for word in words), b"", data])


class Runtime:
    """Calls on one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._calls = front_ends(daemon.service, daemon.maintenance.sync)

    def call(self, words: list[str], content: object) -> tuple[int, Any]:
        """The status and the JSON of the output; None: nothing was printed."""
        status, output = self._calls.answer(RUNTIME, body(words, content))
        return status, json.loads(output) if output else None

    def setup(self, container: str, network: Mapping[str, object] = DRIVE, **there: object) -> Any:  # noqa: ANN401
        """A container starts; the answer, or the error's text."""
        status, answer = self.call(
            ["setup", f"/ns/{container}"], _podmans(container, network, there)
        )
        assert status == (400 if "error" in answer else 200)
        return answer.get("error", answer)

    def teardown(self, container: str, network: Mapping[str, object] = DRIVE) -> None:
        """A container stops."""
        words = ["teardown", f"/ns/{container}"]
        assert self.call(words, _podmans(container, network, {})) == (200, None)

    def cni(self, verb: str, content: object, **variables: str) -> tuple[int, Any]:
        """A call by a CNI runtime."""
        named = {"CNI_COMMAND": verb, **{f"CNI_{key}": value for key, value in variables.items()}}
        return self.call([f"{key}={value}" for key, value in named.items()], content)


def _podmans(
    container: str, network: Mapping[str, object], there: Mapping[str, object]
) -> dict[str, object]:
    options = {"interface_name": "eth0", "aliases": [], **there}
    return {
        "container_id": f"{container}id",
        "container_name": container,
        "port_mappings": [],
        "network": network,
        "network_options": options,
    }
