"""The state machine of bus/test_machine.py, in parts: one for each hand on the host."""
