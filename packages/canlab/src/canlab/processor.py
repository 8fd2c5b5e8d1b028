"""One processor of the machine for a guest that has one.

The guest's kernel and its programs are processes that wait for each other at each system call. On
one processor that takes a fifth of the time that it takes on two, which wake each other up.

Each guest takes a processor that no other has; where all are taken it goes where the machine puts
it. A processor is taken by a socket's name, which goes with the processes that hold the socket.
"""

from __future__ import annotations

import os
import socket


def take_one(mark: str = "canlab-processor") -> None:
    """Stay on one processor from here on, and in all processes that are made.

    `mark` is what the names of the sockets begin with.
    """
    allowed = sorted(os.sched_getaffinity(0))
    first = os.getpid() % len(allowed)
    for number in allowed[first:] + allowed[:first]:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0{mark}-{number}")
        except OSError:  # another guest has it
            name.close()
            continue
        try:
            os.sched_setaffinity(0, {number})
        except OSError:  # forbidden here: slower, no more
            name.close()
        else:
            os.set_inheritable(name.detach(), True)
        return
