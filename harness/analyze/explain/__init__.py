"""What explains a step time: its work, its overhead, what bounds it, each change by itself."""
