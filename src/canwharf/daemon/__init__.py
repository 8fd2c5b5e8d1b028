"""The daemon: its life, its sockets, its log and its metrics."""
