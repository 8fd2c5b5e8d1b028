"""The live screen: what is told by a reading, and what its user sees of it."""
