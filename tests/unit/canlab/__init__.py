"""canlab's pure parts, and both ends of its line, without a guest."""
