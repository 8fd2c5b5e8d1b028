"""A bus across hosts: frames between the bus of this host and those of others.

- `message`: what is sent: frames with their times and senders, an epoch and a sequence number.
- `sequence`: what of it is new: nothing twice, the order of the sender, losses counted.
- `freshness`: how old a frame is, without a common clock.
- `arbitration`: the queue in front of an adapter.
- `settings`, `session`: the connection to the other hosts, by zenoh.
- `authority`, `directory`, `invitation`: certificates, where they are, and how a host gets its own.
- `extra`: how to install what it needs.
- `engine_names`, `container_names`: what this host's containers are called.
- `bridge`: between one bus and its span; `wanted`: which buses have one; `serve`: the process.

The daemon imports none of it.
"""
