"""Real workers with real TensorFlow."""

import time

import pytest
from fakes import Silent

from harness.analyze import summary
from harness.measure import machine, protocols
from harness.measure.budget import Budget
from harness.measure.gpu import open_gpu
from harness.measure.launcher import Launcher
from harness.measure.runner import Runner
from harness.records import Case, Failure, Measurement
from harness.report import files, runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    with Launcher(tmp_path_factory.mktemp("logs")) as launcher:
        yield launcher


@pytest.fixture
def runner(launcher, tmp_path):
    protocol = protocols.choose("quick", steps=1)
    runner = Runner(
        tmp_path / "run",
        protocol,
        machine.describe(),
        launcher,
        Silent(),
        open_gpu(),
        Budget(None, 1, time.monotonic),
    )
    yield runner
    runner.close()


def test_a_comparison_is_measured_saved_and_reported(runner):
    """From a case to tables and charts, and the arithmetic of the models holds."""
    reference = Case("baseline", "synthetic", 32)
    case = Case("improved", "synthetic", 32)
    outcome = runner.measure(case, reference)
    assert isinstance(outcome, Measurement)
    assert (outcome.facts.parameters, outcome.facts.macs_per_sample) == (72_970, 7_060_608)
    assert (
        outcome.reference_facts.parameters,
        outcome.reference_facts.macs_per_sample,
    ) == (1_199_882, 11_992_448)
    assert {1} == {a_round.steps for a_round in outcome.rounds}
    run = runner.save()
    assert run == runs.read(runner.folder)
    frame = summary.measurements(run)
    product = frame["samples_per_s"] * frame["step_us"] / 1e6
    assert pytest.approx(list(product)) == [32.0, 32.0]
    _, paths = files.write(run, runner.folder)
    assert {"measurements.png", "model_size_speedup.csv"} <= {path.name for path in paths}


def test_a_build_that_raises_is_a_failure_and_the_next_case_runs(runner, tmp_path):
    """The message comes first and nothing else is lost."""
    file = tmp_path / "mine.py"
    file.write_text("def build():\n    raise RuntimeError('no such layer')\n")
    case = Case(f"{file}:build", "synthetic", 32)
    outcome = runner.measure(case, case)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "error"
    assert "no such layer" in outcome.message
    fine = Case("improved", "synthetic", 16)
    assert isinstance(runner.measure(fine, fine), Measurement)
