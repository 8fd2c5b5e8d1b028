"""Stand-ins for what the unit tests must not need: a kernel with CAN."""
