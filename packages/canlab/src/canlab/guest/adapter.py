"""Controllers with a bit rate: the kernel's slcan, each on a pseudo-terminal that is played here.

All of them are on one wire: a process passes the lines that are frames (t, T, r, R) from each to
all others, and takes everything else (bit rate, open, close) without a word, as slcan does not wait
for one.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
import tty

from canlab import libc
from canlab.descriptors import detach
from canlab.netlink import Netlink

_TIOCSETD, _N_SLCAN = 0x5423, 17  # asm-generic/ioctls.h, linux/tty.h
_SIOCGIFNAME = 0x8910  # of a line with slcan: the interface's name
_FRAMES = b"tTrR"


def make(netlink: Netlink, names: list[str], bitrate: int) -> None:
    """Make the controllers and set them up; the wire ends with this process."""
    ends = [os.openpty() for _ in names]
    masters = [master for master, _ in ends]
    indices = [_attach(slave) for _, slave in ends]
    parent = os.getpid()
    if not os.fork():
        try:
            libc.die_with(parent)
            detach(*masters, *(slave for _, slave in ends))
            _play(masters)
        finally:
            os._exit(1)
    for name, index in zip(names, indices, strict=True):
        netlink.rename(index, name)
        netlink.set_bitrate(name, bitrate)
        netlink.set_up(name)
    # The slaves stay open in both processes: with the last of them the interface goes.


def _attach(slave: int) -> int:
    """Make an interface of a line; its index."""
    tty.setraw(slave, termios.TCSANOW)
    fcntl.ioctl(slave, _TIOCSETD, struct.pack("i", _N_SLCAN))
    name = fcntl.ioctl(slave, _SIOCGIFNAME, bytes(16)).split(b"\0")[0].decode()
    return socket.if_nametoindex(name)


def _play(masters: list[int]) -> None:
    unread = dict.fromkeys(masters, b"")
    poll = select.poll()
    for master in masters:
        poll.register(master, select.POLLIN)
    while True:
        for master, _ in poll.poll():
            *lines, unread[master] = (unread[master] + os.read(master, 4096)).split(b"\r")
            sent = b"".join(line + b"\r" for line in lines if line[:1] in _FRAMES and line)
            for other in masters:
                if other != master and sent:
                    os.write(other, sent)
