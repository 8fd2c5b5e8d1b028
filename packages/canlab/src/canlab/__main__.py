"""`python3 -m canlab`."""

import sys

from canlab.cli import main

sys.exit(main())
