"""What is wrong with a machine, and the command that fixes it."""
