"""Docker's protocol and its engine's API."""
