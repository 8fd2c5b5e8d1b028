"""What a user would lose, said as tests, in three tiers."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
