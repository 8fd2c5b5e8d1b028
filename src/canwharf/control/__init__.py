"""Our own calls on the daemon's socket, and the client that makes them."""
