"""An engine's control unit: it says its speed ten times a second, and limits it when asked to."""

import time

import can

SPEED, LIMIT = 0x0C9, 0x321

with can.Bus("can0", interface="socketcan") as bus:
    speed, limit = 790, 6000
    while True:
        data = speed.to_bytes(2, "big")
        bus.send(can.Message(arbitration_id=SPEED, data=data, is_extended_id=False))
        time.sleep(0.1)
        while (message := bus.recv(timeout=0)) is not None:
            if message.arbitration_id == LIMIT:
                limit = int.from_bytes(message.data[:2], "big")
        speed = min(speed + 50, limit)
