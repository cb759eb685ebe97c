"""Commands that read runs and measure nothing."""
