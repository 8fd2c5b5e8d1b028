"""What an operator reads and sets up."""
