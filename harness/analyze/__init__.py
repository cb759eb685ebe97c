"""Numbers from records. No input or output, no framework."""
