"""canwharf: CAN buses for containers."""

__version__ = "0.2.0"
