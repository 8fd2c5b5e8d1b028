"""Our domain: a network is a bus, a container an endpoint. Knows no Docker."""
