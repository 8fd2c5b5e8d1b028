"""Many join and leave cycles in one daemon: what it holds, every so often.

    python3 -m tests.faults.soak [--cycles 2000] [--every 100]

Runs in the guest, which it wipes. Every tenth cycle has a real container (a namespace into which
the interface is moved); two others talk all the while, and at the end each frame arrives once.
Prints the samples as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.site import Site, wipe

N = "n" * 64
REAL = 10  # a namespace takes longer to make and end than all the rest


def sample(cycle: int, pid: int) -> dict[str, int]:
    """What the daemon holds: descriptors, threads, memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
    return {
        "cycle": cycle,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(fields["Threads"]),
        "rss_kib": int(fields["VmRSS"]),
    }


def soak(site: Site, cycles: int, every: int) -> list[dict[str, int]]:
    """The samples."""
    site.network(N, "vcan0")
    site.start(N, "a" * 64, "b" * 64)
    samples = [sample(0, site.daemon.pid)]
    for cycle in range(1, cycles + 1):
        endpoint = f"{cycle:064x}"
        if cycle % REAL:
            site.call("CreateEndpoint", N, endpoint)
            site.call("Join", N, endpoint)
            site.call("EndpointOperInfo", N, endpoint)
            site.call("Leave", N, endpoint)
            site.call("DeleteEndpoint", N, endpoint)
        else:
            site.start(N, endpoint)
            site.stop(N, endpoint)
        if cycle % every == 0:
            site.daemon.drain()
            samples.append(sample(cycle, site.daemon.pid))
            sys.stderr.write(f"{samples[-1]}\n")
            sys.stderr.flush()
    site.assert_whole()
    site.clean()
    return samples


def main(arguments: Sequence[str]) -> int:
    """Print the samples."""
    parser = argparse.ArgumentParser("python3 -m tests.faults.soak")
    parser.add_argument("--cycles", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100, help="cycles from sample to sample")
    options = parser.parse_args(arguments)
    wipe()
    with Site() as site:
        json.dump(soak(site, options.cycles, options.every), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
