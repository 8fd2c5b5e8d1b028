"""The front end of Podman."""
