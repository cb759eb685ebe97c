"""A case over many runs."""
