"""What to do, from the numbers of a run."""
