"""Load the kernel modules that a bus needs, now and at each boot.

Rules:

- Those for linear buses and for policies are loaded if this kernel's files have them: without them
  buses work, too.
- No other is listed for each boot: systemd-modules-load.service fails if a module is missing. The
  list of a package, which is the same for all kernels, has the usual ones; not em_canid, which a
  Raspberry Pi's kernel lacks and for which em_u32 stands in.
"""

from __future__ import annotations

from collections.abc import Iterable

from canwharf.errors import InstallError
from canwharf.kernel import modules as kernel
from canwharf.kernel.missing import advice
from canwharf.kernel.needed import LINEAR, LOADED, MISSING, NEEDED, POLICIES, for_linear
from canwharf.kernel.netlink import Netlink
from canwharf.operator.command import run

FILE = "/etc/modules-load.d/canwharf.conf"
_ALL = (*NEEDED, *for_linear(dict.fromkeys(LINEAR, LOADED)), *POLICIES)
USUAL = tuple(module for module in dict.fromkeys(_ALL) if module != "em_canid")


def text(modules: Iterable[str]) -> str:
    """The file's text."""
    return "# Written by canwharf install.\n" + "".join(f"{module}\n" for module in modules)


def for_this_kernel() -> tuple[str, ...]:
    """Those that a bus needs, and those for linear buses and policies that this kernel has."""
    states = kernel.states()
    others = {**for_linear(states), **{each: states.get(each, MISSING) for each in POLICIES}}
    return (*NEEDED, *(module for module, state in others.items() if state != MISSING))


def load(module: str) -> None:
    """Load a module, if it is neither loaded nor built in. Raises CanwharfError.

    If modprobe finds no files in /lib/modules, the kernel is asked whether it has the module.
    """
    try:
        run("modprobe", module)
    except InstallError as error:
        if not kernel.works(module, Netlink()):
            raise InstallError(f"{error}; {advice(module)}") from error
