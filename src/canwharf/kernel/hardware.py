"""What drives an interface: its driver and its place in the machine, as sysfs tells.

Source: Documentation/ABI/testing/sysfs-class-net.
"""

from __future__ import annotations

import os

_NET = "/sys/class/net"


def driver_of(interface: str, net: str = _NET) -> tuple[str, str]:
    """The driver's name and the device's (`mcp251x`, `spi0.0`); empty where there is no device."""
    device = os.path.join(net, interface, "device")
    try:
        place = os.path.basename(os.path.realpath(device, strict=True))
        driver = os.path.basename(os.path.realpath(os.path.join(device, "driver"), strict=True))
    except OSError:
        return "", ""
    return driver, place
