"""A status as text, JSON and drawings."""
