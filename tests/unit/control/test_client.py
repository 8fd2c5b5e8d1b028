"""An operator's command finds the daemon that it asks."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from canwharf.control.client import call
from canwharf.errors import CallError

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"Changes":[]}'


def serve(path: Path) -> None:
    """One caller at this path gets the answer."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def answer() -> None:
        with listening, listening.accept()[0] as caller:
            asked = b""
            while not asked.endswith(b"{}"):
                asked += caller.recv(4096)
            caller.sendall(ANSWER)

    threading.Thread(target=answer, daemon=True).start()


def test_at_the_path_itself(tmp_path: Path) -> None:
    serve(tmp_path / "canwharf.sock")
    assert call(str(tmp_path / "canwharf.sock"), "Canwharf.Sync") == {"Changes": []}


def test_a_managed_plugin_is_found_in_the_folder_that_docker_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`canwharf sync` would otherwise say that no daemon runs, while the plugin does."""
    monkeypatch.chdir(tmp_path)  # a socket's path has no more than 107 characters
    for folder, name in (("0" * 64, "other.sock"), ("not-an-id", "canwharf.sock")):
        Path(folder).mkdir()
        Path(folder, name).touch()
    Path("a1" * 32).mkdir()
    serve(Path("a1" * 32, "canwharf.sock"))
    assert call("canwharf.sock", "Canwharf.Sync") == {"Changes": []}


def test_no_daemon_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "canwharf.sock")
    with pytest.raises(CallError, match="No such file or directory; the daemon does not run"):
        call(path, "Canwharf.Sync")
