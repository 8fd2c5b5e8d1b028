"""Where a container's end is made: directly in its namespace, or on the host for the engine.

Rules:

- An end with a whole name is made in the namespace, or its Join fails: the bus never appears under
  another name.
- The number after a prefix comes from the engine, which counts only the interfaces that it moved.
  It can choose a name that exists already as a whole name, and then refuses to start the container
  with an unclear error. So if a whole name begins with the prefix, the end is made in the
  namespace, too, with the first free number. An older engine creates the namespace too late for
  that; it has no whole names either.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from canwharf.bus.model import Target
from canwharf.bus.naming import Ifname
from canwharf.errors import ConflictError, KernelError, NamespaceError
from canwharf.kernel import namespace

_NUMBERS = range(100)  # of one prefix in one container
_T = TypeVar("_T")


def join_at(ifname: Ifname, path: str, join: Callable[[Target | None], _T]) -> _T:
    """Call `join` with a target in the namespace at this path, or with None for the host.

    Raises NamespaceError if a whole name is not possible, and the errors of `join`.
    """
    try:
        with namespace.opened(path, f"interface {ifname.name or ifname.prefix}") as descriptor:
            if ifname.name:
                return join(Target(descriptor, ifname.name))
            return _numbered(ifname.prefix, descriptor, join)
    except NamespaceError:
        if ifname.name:
            raise
    return join(None)


def _numbered(prefix: str, descriptor: int, join: Callable[[Target | None], _T]) -> _T:
    for number in _NUMBERS:
        try:
            return join(Target(descriptor, f"{prefix}{number}"))
        except KernelError as error:
            if error.errno != errno.EEXIST:
                raise
    raise ConflictError(f"all of {prefix}{_NUMBERS[0]} to {prefix}{_NUMBERS[-1]} are taken there")
