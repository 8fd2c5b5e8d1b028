"""Frames from one container to another, numbered, while something is done to the board."""

from __future__ import annotations

from tests.world.board import UP, Board

_LISTENS = (
    "timeout 20 sh -c 'until grep -q can0 /proc/$(docker inspect -f {{{{.State.Pid}}}} {0})"
    "/net/can/rcvlist_sff; do :; done'"
)


class Stream:
    """A frame each millisecond. Both ends run in Docker, so that their end is the frames' own."""

    def __init__(self, board: Board, sender: str, receiver: str) -> None:
        self._board = board
        self._sender = sender
        command = f"docker exec {receiver} candump -L can0,123:7FF,7FF:7FF"
        self._recording = board.guest.start(command)
        board.sh(_LISTENS.format(receiver))
        self._sending = board.guest.start(f"docker exec {sender} cangen can0 -g 1 -I 123 -L 8 -D i")
        self._recording.wait_for("#", UP)

    def end(self) -> int:
        """Stop; how many frames there were. Each arrived, once, in order, or the test fails."""
        assert self._sending.running
        self._board.sh(f"pkill cangen; docker exec {self._sender} cansend can0 7FF#")
        self._recording.wait_for("7FF#", UP)
        frames = [line.partition("123#")[2] for line in self._recording.stdout.splitlines()]
        values = [int.from_bytes(bytes.fromhex(each), "little") for each in frames if each]
        assert values == list(range(values[0], values[0] + len(values)))
        return len(values)
