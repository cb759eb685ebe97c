"""One fork server for all tests with real workers; a runner over it."""

import dataclasses
import time

import pytest
from fakes import Silent

from harness.measure.budget import Budget
from harness.measure.machine import facts
from harness.measure.machine.gpu import NoGpu
from harness.measure.machine.open_gpu import open_gpu
from harness.measure.runner import Runner
from harness.measure.side import Setup
from harness.measure.trial import inspect
from harness.measure.workers.launcher import Launcher
from harness.records import Case
from harness.records import protocol as protocols


@pytest.fixture(scope="session")
def launcher():
    with Launcher() as launcher:
        yield launcher


@pytest.fixture
def make_runner(launcher, tmp_path):
    """Make a runner of the quickest protocol; its folder is `tmp_path / "run"`."""
    runners = []

    def make(effort="quick", **changes):
        protocol = protocols.choose("quick", steps=1)
        protocol = dataclasses.replace(protocol, effort=effort, **changes)
        budget = Budget(None, 1, time.monotonic)
        setup = Setup(protocol, launcher, open_gpu())
        machine = facts.describe(setup.gpu)
        runners.append(Runner.open(tmp_path / "run", setup, machine, Silent(), budget))
        return runners[-1]

    yield make
    for runner in runners:
        runner.close()


@pytest.fixture
def tried(launcher):
    """Inspect a model, as before its first round."""

    def of(variant, dataset="auto", **fields):
        case = Case(variant, dataset, 8, threads=2, **fields)
        setup = Setup(protocols.choose("quick", timeout_seconds=200.0), launcher, NoGpu("none"))
        return inspect(case, setup, "digits")

    return of


@pytest.fixture
def small_data(tmp_path):
    """Images of two classes that are easily told apart, and two that are mislabelled."""
    import numpy as np

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    images = rng.integers(0, 60, (600, 28, 28), dtype=np.uint8)
    images[labels == 1, 4:24, 4:24] += 150
    labels[598:] = 1 - labels[598:]
    ten = np.concatenate([labels, [9]])  # ten classes, as the bundled variants have
    images = np.concatenate([images, images[:1]])
    path = tmp_path / "small.npz"
    np.savez(
        path,
        x_train=np.concatenate([images[:500], images[600:]]),
        y_train=np.concatenate([ten[:500], ten[600:]]),
        x_test=images[500:600],
        y_test=ten[500:600],
    )
    return str(path)
