"""What happened, as a value: the bus layer reports it, a front end prints it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

INFO = "info"
WARNING = "warning"
ERROR = "error"


class Event(NamedTuple):
    """One thing that happened: how grave it is, what, and to which objects."""

    level: str
    what: str
    fields: Mapping[str, str]


Report = Callable[[Event], None]
