"""The kernel's modules: which are loaded, built in, loadable, or missing.

Theory of operation. Loaded ones stand in /proc/modules; those that are built in, and those that
can be loaded, in lists below /lib/modules for the kernel that runs. Where these lists are not
there (a container, a kernel that was upgraded and not booted), the kernel itself is asked.

Rules:

- A module may stand in both lists with `-` or `_` in its name; they are the same.
- Those of a linear bus can be tried only by making one. Without lists nothing is known of them,
  unless they are loaded; where a bus is linear, the kernel has them.
"""

from __future__ import annotations

import os
import socket

from canwharf.errors import KernelError
from canwharf.kernel import gateway, link, traffic_control
from canwharf.kernel.needed import (
    BUILT_IN,
    CONFIGURED,
    LINEAR,
    LOADABLE,
    LOADED,
    MISSING,
    NEEDED,
    Parameters,
)
from canwharf.kernel.request import Requests

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from collections.abc import Iterable


def states(root: str = "/", release: str = "") -> dict[str, str]:
    """The state of each module that a bus needs, as far as files tell.

    Of one that only some buses need, and of which they tell nothing, there is no state.
    """
    directory = os.path.join(root, "lib/modules", release or os.uname().release)
    loaded = {line.split()[0] for line in _lines(os.path.join(root, "proc/modules"))}
    built_in = _names(_lines(os.path.join(directory, "modules.builtin")))
    loadable = _names(_lines(os.path.join(directory, "modules.dep")))
    found = {}
    for module in CONFIGURED:
        name = module.replace("-", "_")
        where = ((loaded, LOADED), (built_in, BUILT_IN), (loadable, LOADABLE))
        state = next((state for names, state in where if name in names), MISSING)
        if state != MISSING or module in NEEDED or built_in or loadable:
            found[module] = state
    return found


def parameters(root: str = "/") -> Parameters:
    """Those of this kernel; the defaults for a module that is not loaded."""
    hops, echo = (
        "".join(_lines(os.path.join(root, "sys/module", *parts))).strip()
        for parts in (("can_gw/parameters/max_hops",), ("vcan/parameters/echo",))
    )
    return Parameters(int(hops) if hops.isdecimal() else 1, echo == "Y")


def works(module: str, netlink: Requests) -> bool:
    """Whether the kernel does what this module is for. Raises KernelError: without root."""
    if module == "can-gw":
        return gateway.is_there(netlink)
    if module in ("vcan", "vxcan"):
        return link.is_known(netlink, module)
    if module in LINEAR:
        return any(marks.whole for marks in traffic_control.find(netlink).values())
    if module not in NEEDED:
        return False  # a try would be a filter somewhere: the files tell
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError:
        return False
    return True


def known(netlink: Requests) -> dict[str, str]:
    """The state of each module. If its files are missing, the kernel itself is asked."""
    found = states()
    for module, state in found.items():
        try:
            if state == MISSING and works(module, netlink):
                found[module] = BUILT_IN
        except KernelError:
            continue  # without root the kernel does not answer: the files' state stays
    return found


def _names(lines: Iterable[str]) -> set[str]:
    """Of `kernel/net/can/can-gw.ko.xz: …`: can_gw."""
    paths = (line.partition(":")[0].strip() for line in lines)
    return {os.path.basename(path).partition(".ko")[0].replace("-", "_") for path in paths}


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line for line in file if line.strip()]
    except OSError:
        return []
