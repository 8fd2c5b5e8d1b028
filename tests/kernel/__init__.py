"""Real netlink and real frames; runs inside a guest."""
