"""GPUs and several devices: readings, when a GPU pays, scaling."""
