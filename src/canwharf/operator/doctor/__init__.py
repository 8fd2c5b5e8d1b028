"""What is wrong with a machine, and the command that mends it."""
