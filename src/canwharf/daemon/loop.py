"""The daemon's loop: one thread, one selector.

Theory of operation. The selector waits for calls, the kernel's link announcements, signals, and one
deadline. So no two things ever happen at the same time, and an idle daemon is never woken.

Rules:

- Just after the start, a first call goes before maintenance: its client may have connected and not
  have sent it yet.
- Docker has no time limit for a call, so a daemon that hangs would block it for ever: the kernel
  ends such a daemon (alarm(2)) and systemd starts another. An idle daemon has no alarm, and is not
  woken.
"""

from __future__ import annotations

import _socket
import faulthandler
from time import monotonic

from canwharf.bus.maintain import Maintenance
from canwharf.daemon.server import Server
from canwharf.lean import READ, Selector

TYPE_CHECKING = False  # typing's own would be one more import
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence
    from typing import TypeAlias
else:
    import _signal as signal  # whose numbers are no enums

# Now -> the time of its next run, or None (monotonic seconds).
Round: TypeAlias = "Callable[[float], float | None]"
WORK = 60  # seconds for one call, or for maintenance; an exchange with the kernel ends after five
_FIRST_CALL = 0.05  # seconds in which a first call goes before maintenance


def run(
    selector: Selector,
    ending: _socket.socket,
    server: Server,
    maintenance: Maintenance,
    rounds: Sequence[Round],
) -> None:
    """Run until `ending` is readable; each of `rounds` is called in every round of the loop."""
    selector.register(ending, READ)
    faulthandler.register(
        signal.SIGALRM, chain=True
    )  # prints the stack, then the signal ends the process
    timeout: float | None = _FIRST_CALL
    patience = monotonic() + _FIRST_CALL
    while True:
        signal.alarm(0)
        ready = selector.select(timeout)
        for key, _events in ready:
            if key.fileobj is ending:
                signal.alarm(0)
                return
            if key.data is not None:
                signal.alarm(WORK)  # for each call alone: many slow calls are no hang
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


def signals() -> _socket.socket:
    """A socket that becomes readable at SIGTERM or SIGINT."""
    readable, writable = _socket.socketpair()
    readable.setblocking(False)
    writable.setblocking(False)
    signal.set_wakeup_fd(writable.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return readable
