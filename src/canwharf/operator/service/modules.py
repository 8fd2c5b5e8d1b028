"""Load the kernel modules that a bus needs, now and at each boot."""

from __future__ import annotations

from canwharf.errors import InstallError
from canwharf.kernel import modules as kernel
from canwharf.kernel.missing import advice
from canwharf.kernel.needed import NEEDED
from canwharf.kernel.netlink import Netlink
from canwharf.operator.command import run

FILE = "/etc/modules-load.d/canwharf.conf"
TEXT = "# Written by canwharf install.\n" + "".join(f"{module}\n" for module in NEEDED)


def load(module: str) -> None:
    """Load a module, if it is neither loaded nor built in. Raises CanwharfError.

    If modprobe finds no files in /lib/modules, the kernel is asked whether it has the module.
    """
    try:
        run("modprobe", module)
    except InstallError as error:
        if not kernel.works(module, Netlink()):
            raise InstallError(f"{error}; {advice(module)}") from error
