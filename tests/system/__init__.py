"""Real Docker in a guest that is driven from outside: crashes, power cuts."""
