"""The domain over a fake kernel: plans, calls, maintenance, the state on disk."""
