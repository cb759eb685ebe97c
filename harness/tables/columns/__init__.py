"""Columns of the tables whose rows are dicts."""
