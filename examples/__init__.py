"""Examples that run as they are, in the lab."""
