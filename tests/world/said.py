"""Frames with these ids from one member of a bus, and what others hear of them.

    python3 -m tests.world.said PID:can0 host:vcan0 PID:can0 --ids 100 7DF 18FEF100 [--packets]

The first member sends, the others listen. An id of eight digits has 29 bits. It prints for each
listener how often each id was heard. With --packets the frames are sent by a packet socket, which
does not ask the CAN stack. Runs in the guest as root, with the standard library only.

Frames that may not arrive have no end mark: a listener is through when nothing came for QUIET.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack

from tests.world.member import Member, entered, raw_socket

QUIET = 0.5  # seconds; a frame takes microseconds
EFF = 0x80000000
_FRAME = struct.Struct("=IB3x8s")
_ETH_P_CAN = 0x000C


def said(
    sender: Member, listeners: Sequence[Member], ids: Sequence[int], *, packets: bool = False
) -> list[Counter[int]]:
    """How often each listener hears each id, with its flags. Raises OSError."""
    with ExitStack() as stack:
        listening = [stack.enter_context(raw_socket(each)) for each in listeners]
        speaking = stack.enter_context(_packet_socket(sender) if packets else raw_socket(sender))
        for id in ids:
            speaking.send(_FRAME.pack(id, 8, bytes(8)))
        return [_heard(each) for each in listening]


def _packet_socket(member: Member) -> socket.socket:
    with entered(member.namespace):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_CAN))
        opened.bind((member.interface, _ETH_P_CAN))
        return opened


def _heard(opened: socket.socket) -> Counter[int]:
    found: Counter[int] = Counter()
    while select.select([opened], [], [], QUIET)[0]:
        found[_FRAME.unpack(opened.recv(72)[: _FRAME.size])[0]] += 1
    return found


def _id(digits: str) -> int:
    return int(digits, 16) | EFF * (len(digits) == 8)


def _digits(id: int) -> str:
    return f"{id & ~EFF:0{8 if id & EFF else 3}X}"


def main() -> None:
    """Print what was heard."""
    parser = argparse.ArgumentParser("python3 -m tests.world.said")
    parser.add_argument("sender", type=Member.parse)
    parser.add_argument("listeners", type=Member.parse, nargs="+")
    parser.add_argument("--ids", type=_id, nargs="+", required=True)
    parser.add_argument("--packets", action="store_true")
    given = parser.parse_args()
    heard = said(given.sender, given.listeners, given.ids, packets=given.packets)
    json.dump([{_digits(id): number for id, number in each.items()} for each in heard], sys.stdout)


if __name__ == "__main__":
    main()
