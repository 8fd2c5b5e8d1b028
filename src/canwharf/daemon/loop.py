"""The daemon's loop: one thread, one selector.

Theory of operation. Calls, the kernel's link announcements, signals, and one deadline. So no two
things ever happen at the same time, and an idle daemon is not woken at all.

Rules:

- A caller that has connected has not called yet: its first call goes before maintenance, for a
  moment.
- A daemon that does not come to an end of its work would let Docker wait for ever, which has no
  time limit: the kernel ends it (alarm(2)) and systemd starts another. At rest nothing is armed, so
  that nothing wakes it.
"""

from __future__ import annotations

import faulthandler
import selectors
import signal
import socket
from collections.abc import Callable, Sequence
from time import monotonic

from canwharf.bus.maintain import Maintenance
from canwharf.daemon.server import Server

Round = Callable[[float], float | None]  # now -> when to come again, if ever (monotonic seconds)
WORK = 60  # seconds for one call, or for maintenance; an exchange with the kernel ends after five
_FIRST_CALL = 0.05  # seconds to let a caller that is already there go first


def run(
    selector: selectors.BaseSelector,
    asked: socket.socket,
    server: Server,
    maintenance: Maintenance,
    rounds: Sequence[Round],
) -> None:
    """Until a signal comes; `rounds` are called in each, and tell when to come again at last."""
    selector.register(asked, selectors.EVENT_READ)
    faulthandler.register(signal.SIGALRM, chain=True)  # says where it was, and dies of it
    timeout: float | None = _FIRST_CALL
    patience = monotonic() + _FIRST_CALL
    while True:
        signal.alarm(0)
        ready = selector.select(timeout)
        for key, _events in ready:
            if key.fileobj is asked:
                signal.alarm(0)
                return
            if key.data is not None:
                signal.alarm(WORK)  # each has it whole: many that are slow are no hang
                key.data()
        now = monotonic()
        signal.alarm(WORK)
        first = (
            patience if now < patience and not server.called else maintenance.run(now, bool(ready))
        )
        due = [first, server.expire(now)]
        for each in rounds:
            signal.alarm(WORK)
            due.append(each(now))
        timeout = min((max(0.0, at - now) for at in due if at is not None), default=None)


def signals() -> socket.socket:
    """A socket that becomes readable when we are asked to end."""
    readable, writable = socket.socketpair()
    readable.setblocking(False)
    writable.setblocking(False)
    signal.set_wakeup_fd(writable.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return readable
