"""canwharf.testing, without Docker and without CAN."""
