"""Who of a span's hosts hears whom, from what a `canwharf span` tells. Pure."""

from __future__ import annotations

from canwharf.span.report import Heard
from canwharf.span.state import Host, State

SILENT = 10_000_000_000  # nanoseconds: a bridge sends a message each second

# What a status says of whether another host hears this one.
HEARS, DEAF, UNKNOWN = "hears this host", "does not hear this host", "does not answer"


def hearing(state: State, host: Host) -> str:
    """Whether this other host hears the one whose state this is."""
    if host.told is None:
        return UNKNOWN
    heard: Heard | None = host.told.heard(state.host)
    return HEARS if heard and heard.silence is not None and heard.silence < SILENT else DEAF
