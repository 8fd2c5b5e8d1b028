"""Containers without Docker, and what the kernel holds, by the field's own tools.

Runs in the guest. A container is a network namespace that lives as long as a descriptor of ours.
Nothing in here is the code under test.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Self

from tests import rules
from tests.frames import HOST, Member, entered
from tests.rules import Rules

LIMIT = 20.0  # seconds: nothing here takes one
SYS_NET = Path("/sys/class/net")
_ARPHRD_CAN = "280"
_CLONE_NEWNET = 0x40000000
_RTMGRP_LINK = 1

_libc = ctypes.CDLL(None, use_errno=True)


def run(*words: str, check: bool = True) -> str:
    """What a program prints; a failure is an error with its words."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)}: status {done.returncode}: {done.stderr}")
    return done.stdout


def ip(words: str) -> str:
    """Run `ip`, with the words as on a command line."""
    return run("ip", *words.split())


def can_interfaces() -> set[str]:
    """The names of the host's CAN interfaces."""
    return {path.name for path in SYS_NET.iterdir() if _hardware(path) == _ARPHRD_CAN}


def _hardware(path: Path) -> str:
    try:
        return (path / "type").read_text().strip()
    except OSError:  # it went away with a dying namespace
        return ""


def gateway_rules() -> Rules:
    """All gateway rules, and how often each is there."""
    found, others = rules.parse(run("cangw", "-L", check=False).splitlines())
    found.update((other, "", "") for other in others)  # of another form: never right
    return found


def wipe() -> None:
    """Delete every CAN interface of the host, and with them every gateway rule."""
    for name in can_interfaces():
        with suppress(AssertionError):  # a pair's other end is gone with the first
            ip(f"link delete {name}")
    assert can_interfaces() == set()


def wait_until(done: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait for link announcements until something has become true."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.bind((0, _RTMGRP_LINK))
        deadline = monotonic() + limit
        while not done():
            left = deadline - monotonic()
            assert left > 0, "waited in vain"
            # Some things are not announced, or elsewhere, so look again now and then.
            if select.select([events], [], [], min(left, 0.05))[0]:
                with suppress(OSError):  # there were more than fit: all the more reason to look
                    events.recv(65536)


def wait_for_carrier(*namespaces: str) -> None:
    """Wait until all pairs there let frames through.

    When one end comes up, the kernel opens the other for sending a little later (linkwatch), and
    drops what is sent to it until then. The operational state tells when it has.
    """
    wait_until(lambda: all(_carrying(namespace) for namespace in namespaces))


def _carrying(namespace: str) -> bool:
    with entered(namespace):
        links: list[dict[str, Any]] = json.loads(ip("-j link show type vxcan") or "[]")
    # Older versions print an empty object for each link of another type.
    return all(
        link["operstate"] == "UP"
        for link in links
        if {"UP", "LOWER_UP"} <= {*link.get("flags", ())}
    )


class Container:
    """A network namespace with no process in it."""

    def __init__(self) -> None:
        made: list[int] = []

        def make() -> None:
            if _libc.unshare(_CLONE_NEWNET) == 0:  # of this thread alone
                made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        [self._fd] = made
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"

    def take(self, interface: str, name: str) -> None:
        """Move an interface of the host in here, name it, and bring it up, as Docker does."""
        ip(f"link set {interface} netns {self.path} name {name}")
        with entered(self.path):
            ip(f"link set {name} up")
        wait_for_carrier(HOST, self.path)

    def give_back(self, name: str, interface: str) -> None:
        """Move an interface to the host under another name, as Docker does after Leave."""
        host = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with entered(self.path):
                ip(f"link set {name} netns /proc/{os.getpid()}/fd/{host} name {interface}")
        finally:
            os.close(host)
        assert interface in can_interfaces()

    def member(self, name: str) -> Member:
        """An interface in here as a member of a bus."""
        return Member(self.path, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the namespace; the kernel removes its interfaces a little later."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
