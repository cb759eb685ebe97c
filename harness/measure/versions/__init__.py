"""Another version of what is trained: other files, another interpreter, another environment."""
