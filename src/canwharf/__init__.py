"""canwharf: CAN buses for containers."""

__version__ = "0.1.0"
