"""Hundreds of callers who begin and do not go on, while one wants an answer.

    python3 -m tests.faults.crowd [--callers 300]

Runs in the guest, which it wipes. Prints the longest time that a real call took, in seconds.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from time import monotonic

from tests.faults.site import Site, wipe

N = "n" * 64
# Nothing at all, half a line, half a header, a header without its body, half a body.
BEGINNINGS = (
    b"",
    b"POST /NetworkDriver.Jo",
    b"POST /NetworkDriver.Join HTTP/1.1\r\nHost: plu",
    b"POST /NetworkDriver.Join HTTP/1.1\r\nHost: plugin\r\nContent-Length: 100\r\n\r\n",
    b"POST /NetworkDriver.Join HTTP/1.1\r\nHost: plugin\r\nContent-Length: 100\r\n\r\n{",
)


def longest(site: Site, callers: int) -> float:
    """The time of the slowest of a container's calls, with the crowd there."""
    slowest = 0.0
    with ExitStack() as stack:
        for place in range(callers):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.connect(site.socket)
            caller.sendall(BEGINNINGS[place % len(BEGINNINGS)])
        for endpoint in (letter * 64 for letter in "cde"):
            for call in ("CreateEndpoint", "Join", "Leave", "DeleteEndpoint"):
                started = monotonic()
                site.call(call, N, endpoint)
                slowest = max(slowest, monotonic() - started)
        site.assert_whole()
    site.assert_whole()
    return slowest


def main(arguments: Sequence[str]) -> int:
    """Print the time."""
    parser = argparse.ArgumentParser("python3 -m tests.faults.crowd")
    parser.add_argument("--callers", type=int, default=300)
    options = parser.parse_args(arguments)
    wipe()
    with Site() as site:
        site.network(N, "vcan0")
        site.start(N, "a" * 64, "b" * 64)
        json.dump(longest(site, options.callers), sys.stdout)
        site.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
