"""Two versions of a case: what changed, whether it crosses a threshold, which commit did it."""
