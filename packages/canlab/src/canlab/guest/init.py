"""The guest's pid 1, started as a file by an isolated Python: it finds its package by itself."""

import sys

sys.path.insert(0, __file__.rsplit("/", 3)[0])

from canlab.guest.agent import main

main()
