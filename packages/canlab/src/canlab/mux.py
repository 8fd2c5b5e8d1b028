"""Relays descriptors over the line; the same code at both ends.

A *source* is a descriptor whose bytes are sent, a *sink* one that received bytes are written to.
`Mux.step` waits for whatever comes first and does it.

Rules: a step reads from a source only what the other end has room for, and writes to a sink only
when it can be written. So neither a slow reader nor a slow writer blocks the loop. Descriptors that
the caller shares with others stay in blocking mode, as the mode is shared, too: PIECE bytes are
what a pipe takes at once when it is writable (PIPE_BUF).
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Callable

from canlab import wire
from canlab.wire import Frame

CHUNK = 1 << 15  # bytes of a read
PIECE = 4096  # bytes of a write
# Bytes that wait for the line until sources are left alone.
BACKLOG = 1 << 17

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


class LineLost(Exception):  # noqa: N818 - it says what happened
    """The other end of the line is gone."""


class _Source:
    """Bytes on their way out; `room` is what the other end still takes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.room = wire.WINDOW
        self.draining = False


class _Sink:
    """Bytes on their way in."""

    def __init__(self, fd: int, close: Callable[[int], None]) -> None:
        self.fd = fd
        self.close = close
        self.waiting = bytearray()
        self.ended = False


class Mux:
    """The line and the streams on it.

    `control` gets each frame that is not about a stream. `failed` is told of each error of a sink.
    """

    def __init__(
        self,
        line: int,
        control: Callable[[Frame], None],
        failed: Callable[[int, OSError], None] = lambda _stream, _error: None,
        *,
        in_guest: bool = False,
    ) -> None:
        os.set_blocking(line, False)
        self._line = line
        self._in_guest = in_guest
        # What may be written to the line now; there is no limit on the way out of the guest.
        self._line_room = sys.maxsize if in_guest else wire.LINE_ROOM
        self._control = control
        self._failed = failed
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._sources: dict[int, _Source] = {}
        self._sinks: dict[int, _Sink] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self._takers = {
            wire.DATA: self._take_data,
            wire.ACK: self._take_ack,
            wire.END: self._take_end,
            wire.BROKEN: self._take_broken,
            wire.GOT: self._take_got,
        }

    def source(self, stream: int, fd: int) -> None:
        """Send what is read from `fd`; it is closed at its end."""
        self._sources[stream] = _Source(fd)

    def sink(self, stream: int, fd: int, close: Callable[[int], None] = os.close) -> None:
        """Write to `fd` what comes; `close` is called at the end, or when nobody reads there."""
        self._sinks[stream] = _Sink(fd, close)

    def watch(self, fd: int, ready: Callable[[], None]) -> None:
        """Call `ready` whenever `fd` can be read."""
        self._watched[fd] = ready

    def unwatch(self, fd: int) -> None:
        """Watch it no longer."""
        self._watched.pop(fd, None)

    def pause(self, stream: int) -> int | None:
        """Read a source no longer, without a word to the other end; its descriptor."""
        source = self._sources.pop(stream, None)
        return source.fd if source else None

    def send(self, frame: bytes) -> None:
        """Send a frame; it leaves with the next steps."""
        self._outgoing += frame

    def drain(self) -> None:
        """From now on a source ends as soon as there is nothing to read: its writer has ended."""
        for source in self._sources.values():
            source.draining = True

    @property
    def sending(self) -> bool:
        """Whether a source has not ended, or the line has not taken all that there is to send."""
        return bool(self._sources or self._outgoing)

    @property
    def receiving(self) -> bool:
        """Whether a sink has not taken all that came for it."""
        return any(sink.waiting for sink in self._sinks.values())

    def step(self, timeout: float | None = None, *, line: bool = True) -> bool:
        """Wait, `timeout` seconds at most, and do what can be done; False if nothing came.

        Without `line` the other end is left alone: it may be gone. Raises LineLost.
        """
        poll = select.poll()
        for fd, events in self._interests(line).items():
            poll.register(fd, events)
        ready = dict(poll.poll(None if timeout is None else timeout * 1000))
        self._end_drained(ready)
        for fd, watcher in list(self._watched.items()):
            if ready.get(fd):
                watcher()
        for stream, sink in list(self._sinks.items()):
            if sink.waiting and ready.get(sink.fd, 0) & (select.POLLOUT | _GONE):
                self._write(stream, sink)
        for stream, source in list(self._sources.items()):
            if self._wants(source) and ready.get(source.fd):
                self._read(stream, source)
        events = ready.get(self._line, 0)
        if events & select.POLLOUT and self._outgoing:
            self._write_line()
        if events & (select.POLLIN | _GONE):
            self._read_line()
        return bool(ready)

    def _interests(self, line: bool) -> dict[int, int]:
        wanted = dict.fromkeys(self._watched, select.POLLIN)
        if line:
            wanted[self._line] = select.POLLIN
            if self._outgoing and self._line_room:
                wanted[self._line] |= select.POLLOUT
        for source in self._sources.values():
            if self._wants(source):
                wanted[source.fd] = wanted.get(source.fd, 0) | select.POLLIN
        for sink in self._sinks.values():
            if sink.waiting:
                wanted[sink.fd] = wanted.get(sink.fd, 0) | select.POLLOUT
        return wanted

    def _wants(self, source: _Source) -> bool:
        return source.room > 0 and len(self._outgoing) < BACKLOG

    def _end_drained(self, ready: dict[int, int]) -> None:
        for stream, source in list(self._sources.items()):
            if source.draining and self._wants(source) and not ready.get(source.fd):
                self._end(stream, source)

    def _end(self, stream: int, source: _Source) -> None:
        del self._sources[stream]
        os.close(source.fd)
        self.send(wire.encode(wire.END, stream))

    def _read(self, stream: int, source: _Source) -> None:
        try:
            data = os.read(source.fd, min(CHUNK, source.room))
        except BlockingIOError:
            return
        except OSError:  # EIO: the last process left the terminal
            data = b""
        if not data:
            self._end(stream, source)
            return
        source.room -= len(data)
        self.send(wire.encode(wire.DATA, stream, data))

    def _write(self, stream: int, sink: _Sink) -> None:
        try:
            written = os.write(sink.fd, sink.waiting[:PIECE])
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(stream, error)
            self._drop_sink(stream, sink)
            self.send(wire.encode(wire.BROKEN, stream))
            return
        del sink.waiting[:written]
        self.send(wire.encode_number(wire.ACK, written, stream))
        if sink.ended and not sink.waiting:
            self._drop_sink(stream, sink)

    def _drop_sink(self, stream: int, sink: _Sink) -> None:
        del self._sinks[stream]
        sink.close(sink.fd)

    def _write_line(self) -> None:
        try:
            written = os.write(self._line, self._outgoing[: min(CHUNK, self._line_room)])
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise LineLost from error
            # What the other end sent before it went may still be there to be read.
            self._outgoing.clear()
        else:
            del self._outgoing[:written]
            self._line_room -= written

    def _read_line(self) -> None:
        try:
            data = os.read(self._line, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise LineLost from error
        if not data:
            raise LineLost
        self._incoming += data
        if self._in_guest:
            self.send(wire.encode_number(wire.GOT, len(data)))
        for frame in wire.frames(self._incoming):
            if take := self._takers.get(frame.type):
                take(frame)
            else:
                self._control(frame)

    def _take_data(self, frame: Frame) -> None:
        if sink := self._sinks.get(frame.stream):  # else BROKEN is under way
            sink.waiting += frame.payload

    def _take_ack(self, frame: Frame) -> None:
        if source := self._sources.get(frame.stream):
            source.room += frame.number

    def _take_end(self, frame: Frame) -> None:
        if sink := self._sinks.get(frame.stream):
            sink.ended = True
            if not sink.waiting:
                self._drop_sink(frame.stream, sink)

    def _take_broken(self, frame: Frame) -> None:
        if source := self._sources.pop(frame.stream, None):
            os.close(source.fd)

    def _take_got(self, frame: Frame) -> None:
        self._line_room += frame.number
