"""This repository's own defaults for the plugin; nothing else."""

pytest_plugins = ["pytester"]
