"""The daemon's loop, sockets, HTTP server, log and metrics."""
