"""Summaries to screen and files. No arithmetic."""
