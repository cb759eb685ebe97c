"""What a team reads of a run: whether it fails, and a summary."""
