"""What a person who looks after a machine sees and sets up: buses, what is wrong, the service."""
