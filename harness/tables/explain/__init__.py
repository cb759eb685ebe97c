"""Tables that say why: what decides the time, the work, one change at a time, layer by layer."""
