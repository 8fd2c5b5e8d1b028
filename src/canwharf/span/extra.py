"""The command that installs zenoh and cryptography, for the way in which canwharf was installed."""

from __future__ import annotations

import sys

# Where the program of a package looks last, as it sees nothing else of pip's.
FOLDER = "/usr/local/lib/canwharf/extras"


def command() -> str:
    """What to run, as root if canwharf is root's."""
    if FOLDER in sys.path:
        return f"pip install --target {FOLDER} cryptography 'eclipse-zenoh<2'"
    return "pip install 'canwharf[span]'"
