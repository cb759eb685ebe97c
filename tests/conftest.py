"""What tests of every kind need."""

import os
import signal

import pytest

# Tests run side by side; pytest-benchmark would disable itself in the runs that tests start.
os.environ.pop("PYTEST_XDIST_WORKER", None)


@pytest.fixture
def signals_as_in_a_terminal():
    """In the background of a shell, or under nohup, tests and what they start would ignore some."""
    ends = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, end) for number, end in ends.items()}
    yield
    for number, end in before.items():
        signal.signal(number, end)
