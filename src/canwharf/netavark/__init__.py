"""Podman's calls, by its network stack netavark: a front end of the bus."""
