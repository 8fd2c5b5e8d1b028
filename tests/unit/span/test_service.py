"""`canwharf span` as a process, where no bus of its host has a span: how it lives and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.unit.span.test_session import LIMIT, free_port


def test_systemd_is_told_that_it_is_ready_and_goes_on_living(tmp_path: Path) -> None:
    """A unit with WatchdogSec= restarts one that hangs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(LIMIT)
        command = f"span --name a --listen tcp/127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            [sys.executable, "-m", "canwharf", *command.split()],
            env={"NOTIFY_SOCKET": systemd.getsockname()},
        )
        try:
            told = [systemd.recv(100) for _each in range(3)]
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(LIMIT)
    assert told == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert status == 128 + signal.SIGTERM
