"""Where a container's end is made: straight in its namespace, named and up, or left to the engine.

Rules:

- An end with a whole name is made in place, or its Join fails: never the bus under another name.
- One with a prefix is numbered by the engine, which counts only what it has moved itself: beside a
  whole name that begins like this it could come upon that, and refuse the start in words that
  nobody understands. Then it is made in place, too, under the first number that is free. An older
  engine, whose namespace is not there in time, has no whole names in a start either.
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


def target(ifname: Ifname, path: str, join: Callable[[Target | None], _T]) -> _T:
    """What `join` gives for a place in the namespace at this path, or for none.

    Raises NamespaceError where a whole name cannot be had, and what `join` raises.
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
