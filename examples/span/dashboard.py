"""A dashboard on another host: it shows the engine's speed, and asks for less when it is high."""

import can

SPEED, LIMIT = 0x0C9, 0x321

with can.Bus("can0", interface="socketcan") as bus:
    for message in bus:
        if message.arbitration_id != SPEED:
            continue
        speed = int.from_bytes(message.data[:2], "big")
        print(f"engine: {speed} rpm", flush=True)
        if speed > 3000:
            limit = (3000).to_bytes(2, "big")
            bus.send(can.Message(arbitration_id=LIMIT, data=limit, is_extended_id=False))
