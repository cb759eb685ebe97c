"""This repository's own defaults for the plugin; nothing else."""

import pytest

pytest_plugins = ["pytester"]

_LIBRARY_DEFAULT = "file://./.benchmarks"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Keep what pytest-benchmark saves with the other results, unless told otherwise."""
    if config.option.benchmark_storage == _LIBRARY_DEFAULT:
        config.option.benchmark_storage = "file://./results"
