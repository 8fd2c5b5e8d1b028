"""What the tests of a real kernel share, in guests and around them: each thing once."""
