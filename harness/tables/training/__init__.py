"""The tables of full trainings."""
