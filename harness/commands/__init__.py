"""The commands that a user types, one file per command, and the pytest plugin."""
