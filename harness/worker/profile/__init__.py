"""Where the time of a training step goes: operations of a trace, by the layer that made them."""
