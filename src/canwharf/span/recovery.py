"""What a cut of the connection lost, for programs that record: asked for afterwards.

Theory of operation. While a program of a host wants all frames (`feed`), its bridge says so to the
other hosts, every ANNOUNCE. Those keep their last messages (`kept`) until KEEP after they heard it
last. A gap in a host's numbers is asked for (`gaps`), and the answer is the very messages.

Rules:

- What comes this way is for programs that record, and never for the bus: it is old.
- Live frames go first: messages of this kind have a lower priority, and an answer goes on for SHARE
  at a time. Of each host one question is answered, its last one.
- A question or an answer that is lost is no harm: it is asked again, also for a host that is away.

A question, little-endian: version (1 byte), epoch, first number and the one behind (8 bytes each),
the name of the host that is asked. Without a name it is for all, and only says that one records.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import Struct
from time import monotonic

from canwharf.errors import SpanError
from canwharf.span.gaps import Gaps
from canwharf.span.kept import Kept
from canwharf.span.message import Message

ASK, PAST = "ask", "past"  # topics; of an answer with a hyphen and the name of who asked
ANNOUNCE = 2_000_000_000  # nanoseconds
KEEP = 300_000_000_000  # nanoseconds
SHARE = 0.002  # seconds
_VERSION = 1
_MOST = 16  # messages at a time
_HOSTS = 64  # that ask at once
_QUESTION = Struct("<BQQQ")

Send = Callable[[str, bytes], None]  # a topic, and what is said
Heard = Callable[[str], tuple[int, int]]  # a host: our uptime when it was heard last, its epoch


class Recovery:
    """That of one bridge, of this host."""

    def __init__(self, host: str, send: Send) -> None:
        self._host, self._send = host, send
        self._kept = Kept()
        self._keep = 0  # uptime until which messages are kept
        self._gaps: dict[str, Gaps] = {}  # by host
        self._asking: dict[str, tuple[int, int]] = {}  # by host: the first number, the one behind
        self._announced: int | None = None  # uptime

    @property
    def busy(self) -> bool:
        """Whether an answer waits to go on."""
        return bool(self._asking)

    @property
    def announced(self) -> bool:
        """Whether the other hosts were told that a program records, since it does."""
        return self._announced is not None

    def sent(self, told: Message, payload: bytes) -> None:
        """This host sent it just now."""
        if told.uptime < self._keep:
            self._kept.put(told.sequence, len(told.frames), payload)

    def missed(self, host: str, epoch: int, first: int, end: int) -> None:
        """These numbers of a host did not come."""
        self._gaps.setdefault(host, Gaps()).add(epoch, first, end)

    def came(self, host: str, told: Message) -> list[int]:
        """A host answered with this message: the places of its frames that were missing."""
        gaps = self._gaps.get(host)
        return gaps.take(told.epoch, told.sequence, len(told.frames)) if gaps else []

    def asked(self, host: str, question: bytes, epoch: int, now: int) -> None:
        """A host asks, or says that it records. `epoch` is this bridge's. Raises SpanError."""
        try:
            version, of, first, end = _QUESTION.unpack_from(question)
            name = question[_QUESTION.size :].decode()
        except (struct.error, UnicodeDecodeError) as error:
            raise SpanError(f"a question that is garbled: {error}") from error
        if version != _VERSION:
            raise SpanError(f"a question of version {version}; this canwharf reads {_VERSION}")
        self._keep = now + KEEP
        known = host in self._asking or len(self._asking) < _HOSTS
        if name == self._host and of == epoch and first < end and known:
            self._asking[host] = first, end

    def given_up(self) -> dict[str, int]:
        """How many frames of which hosts come no more, since the last call."""
        found = {host: gaps.given_up for host, gaps in self._gaps.items() if gaps.given_up}
        for host in found:
            self._gaps[host].given_up = 0
            if not self._gaps[host]:
                del self._gaps[host]
        return found

    def work(self, now: int, heard: Heard, *, wanted: bool) -> None:
        """Ask and answer what is due; `wanted`: a program of this host records."""
        try:
            if wanted:
                self._ask(now, heard)
            else:
                self._announced = None
                self._gaps.clear()
            self._answer()
        except SpanError:  # it is asked again
            self._asking.clear()
        if self._keep and now > self._keep:
            self._keep = 0
            self._kept.clear()

    def _ask(self, now: int, heard: Heard) -> None:
        if self._announced is None or now - self._announced >= ANNOUNCE:
            self._announced = now
            self._send(ASK, _QUESTION.pack(_VERSION, 0, 0, 0))
        for host, gaps in list(self._gaps.items()):
            if due := gaps.due(now, *heard(host)):
                self._send(ASK, _QUESTION.pack(_VERSION, *due) + host.encode())
            elif not gaps and not gaps.given_up:
                del self._gaps[host]

    def _answer(self) -> None:
        end = monotonic() + SHARE
        while self._asking and monotonic() < end:
            host = next(iter(self._asking))  # the others have their turns before it has another one
            first, behind = self._asking.pop(host)
            found, then = self._kept.find(first, behind, _MOST)
            for payload in found:
                self._send(f"{PAST}-{host}", payload)
            if then < behind:
                self._asking[host] = then, behind
