"""What a user would lose, said as tests, in three tiers."""
