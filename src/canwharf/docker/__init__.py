"""A front end: Docker's protocol for network drivers."""
