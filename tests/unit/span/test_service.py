"""`canwharf span` as a process, where no bus of its host has a span: how it lives and ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.unit.span.test_session import LIMIT, free_port

OTHER = """
import sys, time
from canwharf.span.session import Session
from canwharf.span.settings import Settings
session = Session(Settings("b", (sys.argv[1],)))
session.subscribe("x", lambda *_message: None, lambda *_host: None)
send = session.publish("x")
print("ready", flush=True)
time.sleep(100)
"""
# The service sends much to a host that is frozen then, and is told to end.
FLOODS = """
import os, signal, sys, time
from canwharf.cli import main
from canwharf.span.serve import Service

def run(service, ended, _alive):
    there = []
    service._session.subscribe("x", lambda *_message: None, lambda *host: there.append(host))
    send = service._session.publish("x")
    while not there:
        time.sleep(0.01)
    os.kill(int(sys.argv[2]), signal.SIGSTOP)
    for _message in range(300):
        send(bytes(60_000))
    ended.append(signal.SIGTERM)

Service.run = run
sys.exit(main(["span", "--name", "a", "--connect", sys.argv[1]]))
"""


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


def test_a_frozen_host_does_not_hold_up_the_end() -> None:
    """Zenoh itself would wait for ten seconds, and then fail."""
    where = f"tcp/127.0.0.1:{free_port()}"
    with subprocess.Popen([sys.executable, "-c", OTHER, where], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout
            assert other.stdout.readline() == b"ready\n"
            command = [sys.executable, "-c", FLOODS, where, str(other.pid)]
            done = subprocess.run(
                command, stderr=subprocess.PIPE, text=True, timeout=LIMIT, check=False
            )
        finally:
            other.kill()
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
