"""What a bridge says of other hosts. What it does with frames is in tests/kernel/test_span.py."""

from __future__ import annotations

from contextlib import closing
from struct import pack

from canwharf.bus.naming import Span
from canwharf.span.bridge import Bridge
from canwharf.span.state import HOSTS
from tests.unit.testing.fakes import FakeCapture


def test_garbage_of_one_host_does_not_hide_what_another_one_does() -> None:
    """Each message is another fault: it would fill the log, and use up what is said at all."""
    said: list[str] = []
    with closing(FakeCapture()) as capture:
        bridge = Bridge("can0", Span("x"), capture, lambda _payload: None, said.append)
        for number in range(HOSTS + 1):
            bridge.inward("bench-2", pack("<BBH", 1, 1, number) + bytes(33), 0)
        bridge.inward("bench-3", b"\x02", 0)
    assert len(said) == 2
    assert said[0].startswith("bench-2 sends a message with flags 1")
    assert said[1].startswith("bench-3 sends a message of version 2")
    assert bridge.counts["unreadable"] == HOSTS + 2
