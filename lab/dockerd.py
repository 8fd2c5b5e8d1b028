"""Starts, kills and stops the Docker daemon; runs in the guest.

    python3 -I dockerd.py start SECONDS ARGUMENT…     dockerd with these arguments, ready; prints
                                                      its version
    python3 -I dockerd.py kill                        SIGKILL: a crash of Docker
    python3 -I dockerd.py stop SECONDS                SIGTERM: as `systemctl stop docker`

Rule: it waits for events and never looks again and again. Docker tells that it serves by a
datagram (sd_notify(3)), and the kernel tells by a pidfd that it has ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

LOG = Path("/run/dockerd.log")
PID = Path("/run/docker.pid")
API = "/run/docker.sock"


def start(seconds: float, arguments: list[str]) -> None:
    """Return when Docker serves; otherwise exit with the end of its log."""
    address = f"/run/lab-notify-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, LOG.open("ab") as log:
        notices.bind(address)
        begun = LOG.stat().st_size
        process = subprocess.Popen(
            ["dockerd", *arguments],
            env={**os.environ, "NOTIFY_SOCKET": address},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        ended = os.pidfd_open(process.pid)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([notices.fileno(), ended], [], [], left)
            if ended in ready:
                why = f"dockerd ended with status {process.wait()}"
                break
            if ready and b"READY=1" in notices.recv(4096):
                os.unlink(address)
                print(version())
                return
        else:
            process.kill()
            why = f"dockerd was not ready after {seconds:g} s"
    sys.exit(f"{why}; its log:\n{LOG.read_text(errors='replace')[begun:][-4000:]}")


def version() -> str:
    """The daemon's version in its own words (`GET /version`), without its client's half second."""
    with socket.socket(socket.AF_UNIX) as api:
        api.connect(API)
        api.sendall(b"GET /version HTTP/1.0\r\n\r\n")
        with api.makefile("rb") as answer:
            body = answer.read().partition(b"\r\n\r\n")[2]
    return str(json.loads(body)["Version"])


def end(number: signal.Signals, seconds: float) -> None:
    """Send the signal and return when the daemon is gone; no error if there is none."""
    try:
        pid = int(PID.read_text())
        ended = os.pidfd_open(pid)
    except (FileNotFoundError, ProcessLookupError):
        return
    signal.pidfd_send_signal(ended, number)
    if not select.select([ended], [], [], seconds)[0]:
        sys.exit(f"dockerd was still there {seconds:g} s after {number.name}")


def main(verb: str, *rest: str) -> None:
    """Do what the command line says."""
    if verb == "start":
        start(float(rest[0]), list(rest[1:]))
    elif verb == "kill":
        end(signal.SIGKILL, 10)
    else:
        end(signal.SIGTERM, float(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
