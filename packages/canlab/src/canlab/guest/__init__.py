"""What runs in the guest: `init` is the file that its kernel starts, as pid 1.

Rule: nothing here imports a module that is slow to load (`typing`, `re`, `subprocess`).
"""
