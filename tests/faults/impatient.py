"""The real daemon with less patience: it looks after seconds where it would after a minute.

python3 -m tests.faults.impatient SECONDS canwharf serve …
"""

from __future__ import annotations

import sys

import canwharf.bus.maintain
from canwharf.cli import main

if __name__ == "__main__":
    canwharf.bus.maintain.GRACE = canwharf.bus.maintain.PATIENCE = float(sys.argv[1])
    sys.exit(main(sys.argv[3:]))
