"""The packages' files."""
