"""Worker processes: start them, ask them, end them, and keep what they print."""
