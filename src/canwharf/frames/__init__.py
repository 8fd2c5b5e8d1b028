"""Frames as the host sees them, and who sent each: capture, sources, decoding.

    with Capture(Sources(driver, state_dir, names, words)) as capture:
        for frame in capture.read(timeout=1.0):   # in order by time, several at once
            print(frame.time, frame.bus, frame.sender, frame.can_id, frame.data)
        capture.losses                            # {(bus, sender): frames that were lost}

- `frame.Frame`: one frame, its time, its bus and its sender.
- `sources.Sources`: the interfaces of the buses and whose they are; it follows what comes and goes.
- `capture.Capture`: the sockets. `fileno()` is readable when `read` may have something.
- `transmit.Transmitter`: a socket that sends onto a bus.
- `filters.Filter`, `filters.parse`: candump's filters, which the kernel applies.
- `conflicts.Conflicts`: ids that two senders use, which is a fault in CAN.
- `senders.Senders`: who sent a frame by its id, for recordings that do not say it.
- `statistics.Statistics`: what was sent so far, by bus, id and sender: periods, lengths, bits.
- `formats`: recordings, with the senders, as log, asc, blf, trc, mf4, csv and db.

The daemon imports none of it.
"""
