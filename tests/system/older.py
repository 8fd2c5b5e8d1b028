"""The daemon, to which Docker tells of a network that it took when unknown options were dropped."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from canwharf.cli import main
from canwharf.docker import engine

_networks = engine.networks


def networks(driver: str, limit: float = 2.0) -> dict[str, Mapping[str, object]] | None:
    """Docker's list, with an option more in each."""
    found = _networks(driver, limit)
    return found and {id: {**options, "parent": "can5"} for id, options in found.items()}


if __name__ == "__main__":
    engine.networks = networks  # type: ignore[assignment]
    sys.exit(main(["serve"]))
