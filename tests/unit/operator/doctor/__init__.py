"""The doctor: the facts that it gathers, and the checks on them."""
