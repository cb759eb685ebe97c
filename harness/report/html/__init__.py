"""The pages: of a run, and of runs from several machines."""
