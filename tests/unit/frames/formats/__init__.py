"""Recordings, in each format."""
