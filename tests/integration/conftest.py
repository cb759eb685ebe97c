"""One fork server for all tests with real workers; a runner over it."""

import time

import pytest
from fakes import Silent

from harness.measure.budget import Budget
from harness.measure.launcher import Launcher
from harness.measure.machine import facts
from harness.measure.machine.gpu import open_gpu
from harness.measure.runner import Runner
from harness.records import protocol as protocols


@pytest.fixture(scope="session")
def launcher():
    with Launcher() as launcher:
        yield launcher


@pytest.fixture
def make_runner(launcher, tmp_path):
    """Make a runner of the quickest protocol; its folder is `tmp_path / "run"`."""
    runners = []

    def make(**changes):
        protocol = protocols.choose("quick", steps=1, **changes)
        budget = Budget(None, 1, time.monotonic)
        folder, gpu = tmp_path / "run", open_gpu()
        described = facts.describe(gpu)
        runners.append(Runner(folder, protocol, described, launcher, Silent(), gpu, budget))
        return runners[-1]

    yield make
    for runner in runners:
        runner.close()
