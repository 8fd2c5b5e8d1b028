"""canwharf as a systemd service: the program that runs it, its units, the kernel modules."""
