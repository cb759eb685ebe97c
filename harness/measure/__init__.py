"""How a number is measured."""
