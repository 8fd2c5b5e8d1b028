"""What a person who looks after the machine sees: pictures of the buses, and what is wrong."""
