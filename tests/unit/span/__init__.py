"""A bus across hosts: what is sent, what of it is taken, and when."""
