"""Several hosts that train together."""
