"""What tests of every kind need."""

import os
import shutil
import signal

import nvml
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


@pytest.fixture(scope="session")
def drivers(tmp_path_factory):
    """The folder of the libraries of each driver, by its version."""
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler for the stand-in of NVIDIA's driver")
    folder = tmp_path_factory.mktemp("drivers")
    return {version: nvml.build(folder, version) for version in nvml.DRIVERS}


@pytest.fixture
def driver(drivers, tmp_path, monkeypatch):
    """Put a driver in place of the machine's; its version is the newest unless given."""

    def of(version=nvml.NEWEST, folder=tmp_path):
        return nvml.Driver(drivers[version], folder, monkeypatch)

    return of
