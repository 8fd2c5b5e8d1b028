"""A CAN bus in a test: containers on it, what they send, and who sent it.

    def test_answer(bus):                      # the fixture of `canwharf.pytest_plugin`
        bus.run("my-ecu", name="ecu1")
        bus.expect(id=0x100, sender="ecu1")    # it is there
        sent = bus.send(0x7E0, bytes([2, 1, 12]))
        bus.expect(id=0x7E8, sender="ecu1", after=sent, within=1.0)

- `bus.Bus`: the network, its containers, and the words of a test.
- `monitor.Monitor`: all frames so far, read by a thread of its own, and `recording` in a file.
- `wanted.Wanted`: which frame a test waits for, and what came instead.
- `engine`: Docker, by its SDK.
- `report`: what a failure shows.

The daemon imports none of it. Docker's SDK comes with the extra `canwharf[test]`.
"""

from canwharf.frames.frame import Frame
from canwharf.testing.bus import Bus
from canwharf.testing.engine import UnavailableError

__all__ = ["Bus", "Frame", "UnavailableError"]
