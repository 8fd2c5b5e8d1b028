"""Which buses have a span: what the daemon publishes for a process that has no rights.

Rules:

- The daemon's state is for root. The file of spans is for everybody, and has no more than is
  needed: interfaces, and their options. It is in /run, and stays there while the daemon is stopped.
- A file that is not of its form is an error: what it says would be connected to other hosts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from canwharf import durable
from canwharf.bus import naming, span
from canwharf.bus.model import Network, Settings, State
from canwharf.bus.naming import Span
from canwharf.errors import StateError


def read(path: str, driver: str) -> dict[str, Span]:
    """The spans by their bus's interface; none without a file. Raises StateError."""
    try:
        return _parsed(json.loads(durable.read(path)), driver)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StateError("read", path, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StateError("read", path, f"it is no file of spans: {error!r}") from error


def _parsed(content: Mapping[str, Any], driver: str) -> dict[str, Span]:
    """Raises ValueError, and what Python raises for an object of another form."""
    if content["version"] != span.VERSION or content["driver"] != driver:
        raise ValueError("it is another version's, or another driver's")
    return dict(_bus(*each) for each in content["buses"].items())


def _bus(interface: str, fields: Mapping[str, object]) -> tuple[str, Span]:
    """One bus. Raises ValueError, KeyError."""
    name, age = fields["name"], fields["max_age"]
    if naming.name_fault(interface) or not isinstance(name, str) or not span.is_name(name):
        raise ValueError(f"{interface!r} or {name!r} cannot be a name")
    if type(age) is not int or age < 0:
        raise ValueError(f"{age!r} is no time")
    return interface, Span(name, age)


def state_of(driver: str, interface: str) -> State:
    """A state with this bus: what frames are read from comes from the kernel's own aliases."""
    return State(driver, {interface: Network(interface, Settings(interface, "can"), {})})
