"""`python3 -m canwharf`; and as units start it, `python3 -IS …/canwharf/__main__.py`."""

import sys

if __package__ is None:  # a file, and -I leaves out where it is
    sys.path.append(__file__.rpartition("/canwharf/")[0])

from canwharf.cli import main

sys.exit(main())
