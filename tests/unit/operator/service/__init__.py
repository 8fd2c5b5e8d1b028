"""The systemd units and the program that they start."""
