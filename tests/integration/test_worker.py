"""Real workers with real TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest
from samples import dataframe

from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.launcher import Launcher
from harness.records import Case, Failure, Measurement, folders, to_json
from harness.report import files

pytestmark = pytest.mark.slow

SUBCLASSED = """
import keras

class Linear(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.out = keras.layers.Dense(10, activation="softmax")

    def call(self, x):
        return self.out(self.flatten(x))

def build():
    model = Linear()
    model.compile("adam", "categorical_crossentropy")
    return model
"""


def test_a_comparison_is_measured_saved_and_reported(make_runner):
    """From a case to tables and charts, and the arithmetic of the models holds."""
    runner = make_runner()
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
    runner.measure(Case("no_dropout", "synthetic", 32), reference)
    run = runner.save()
    assert run == folders.read(runner.folder)
    frame = dataframe(run, "measurements")
    product = frame["samples_per_s"] * frame["step_us"] / 1e6
    assert pytest.approx(list(product)) == [32.0, 32.0, 32.0]
    paths = files.write(run, runner.folder).paths
    assert {"model_size_speedup.png", "model_size_speedup.csv"} <= {path.name for path in paths}


def test_a_failure_does_not_harm_the_next_case(make_runner, tmp_path):
    """It gets fresh workers from the same server."""
    runner = make_runner()
    missing = Case(f"{tmp_path / 'gone.py'}:build", "synthetic", 32)
    assert isinstance(runner.measure(missing, missing), Failure)
    fine = Case("improved", "synthetic", 16)
    assert isinstance(runner.measure(fine, fine), Measurement)


def test_memory_is_told_apart_by_phase_and_readings_were_taken(make_runner):
    """Import, build, training; CPU time of the rounds; the step is traced before them alone."""
    fine = Case("improved", "synthetic", 16)
    outcome = make_runner().measure(fine, fine)
    for start in outcome.starts:
        assert 0 < start.import_rss_bytes <= start.build_rss_bytes
        assert start.peak_rss_bytes > start.import_rss_bytes
        assert start.usage.readings > 0
        assert start.traces == 0
    assert all(a_round.cpu_seconds > 0 for a_round in outcome.rounds)


def test_an_epoch_of_a_small_dataset_is_measured_whole(make_runner, tmp_path):
    """With its ragged last batch, and its first step apart."""
    rng = np.random.default_rng(0)
    path = tmp_path / "small.npz"
    np.savez(path, x_train=rng.random((150, 28, 28)), y_train=np.arange(150) % 10)
    small = Case("improved", str(path), 64)
    outcome = make_runner(fit_seconds=10.0).measure(small, small)  # however slow a step is here
    fit = next(start.fit for start in outcome.starts if start.fit)
    assert (fit.steps, fit.samples, fit.whole_epoch) == (3, 150, True)
    assert 0 < fit.first_step_seconds < fit.seconds
    assert all(start.traces == 0 for start in outcome.starts)


def test_a_step_is_one_update_however_the_model_was_compiled(tmp_path):
    """`steps_per_execution=4` would make four of it."""
    code = """
from harness.worker.backends.tensorflow import TensorFlowTrainer as Trainer
from harness.records import Case
from harness.workloads.datasets import Dataset
import keras, numpy as np
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse", steps_per_execution=4)
x, y = np.ones((64, 4)), np.ones((64, 2))
trainer = Trainer(model, Dataset(x, y, x[:0], y[:0]), Case("mine", "none", 8))
trainer.run(3)
print(int(model.optimizer.iterations))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3"]


def test_a_subclassed_model_is_trained_and_counted(make_runner, tmp_path):
    """By its `call` on symbolic tensors."""
    path = tmp_path / "mine.py"
    path.write_text(SUBCLASSED)
    case = Case(f"{path}:build", "synthetic", 32)
    outcome = make_runner().measure(case, case)
    assert isinstance(outcome, Measurement), outcome
    assert outcome.facts.macs_per_sample == 784 * 10
    assert outcome.facts.macs_source == "layers"
    assert outcome.facts.parameters == 7850


def test_a_spawned_worker_answers_as_a_forked_one():
    """Where fork is not to be had."""
    case = Case("improved", "synthetic", 16)
    with Launcher("spawn") as spawn:
        worker = spawn.start(case, timeout=300.0)
        opened = worker.ask("open", case=to_json(case), cpus=usable_cpus())
        assert opened["facts"]["parameters"] == 72_970
        spawn.end(worker)
