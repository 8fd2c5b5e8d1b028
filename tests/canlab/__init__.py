"""canlab, with its real kernel: as a user calls it. Needs no root.

make canlab-tests        (makes the kernel first, once: 5 to 10 minutes)
"""
