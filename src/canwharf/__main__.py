"""`python3 -m canwharf`."""

import sys

from canwharf.cli import main

sys.exit(main())
