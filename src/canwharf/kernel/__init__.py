"""Speaks to Linux: netlink, CAN links and gateway rules. Knows no Docker and no intent."""
