"""Signals that end a verb in order.

timeout(1) sends its signal to the command, and then to the command's process group, in which the
command is, too. The second one must not be taken for a person's, who does not want to wait.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from time import monotonic
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE = 0.5  # seconds in which several are one


def end_by(act: Callable[[int], None]) -> None:
    """Do this at each signal of ENDING; what nohup ignores stays so.

    A shell starts a command in the background with SIGINT ignored; it ends that, too.
    """
    last = float("-inf")

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        now = monotonic()
        if now - last > _ONE:
            last = now
            act(number)

    for each in ENDING:
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, handle)
