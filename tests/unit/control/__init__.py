"""Our own calls to the daemon."""
