"""Drawings of buses."""
