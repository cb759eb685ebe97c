"""Models and data drawn at random, with real TensorFlow: what Keras trains, a worker measures."""

import os
import subprocess
import sys
from pathlib import Path

import many_models
import pytest

from harness.measure.machine.facts import usable_cpus
from harness.records import Case, to_json

pytestmark = pytest.mark.slow
FILE = Path(many_models.__file__)
PLAIN = """
import inspect, sys
sys.path.insert(0, sys.argv[1])
import many_models as many
from keras.utils import PyDataset

for number in many.ALL:
    data = getattr(many, f"data_{number}")()
    arrays = isinstance(data, tuple)
    x, y, weights = (*data, None, None)[:3] if arrays else (data, None, None)
    if number == many.FORMS.start + 1:  # fit takes lists of numbers as arrays alone
        import numpy as np

        x, y = np.array(x), np.array(y)
    of_arrays = {"batch_size": many.BATCH, "sample_weight": weights}
    more = of_arrays if arrays else {"steps_per_epoch": 2}
    getattr(many, f"model_{number}")().fit(x, y, verbose=0, **more)
    print("trained", number, flush=True)
"""


def test_keras_trains_each_of_them():
    """Else it would be no fault of a worker."""
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(FILE.parent)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("trained") == len(many_models.ALL)


@pytest.mark.parametrize("number", many_models.ALL)
def test_a_worker_measures_it(launcher, number):
    """From its first step to a timed `fit`."""
    batch = many_models.BATCH
    case = Case(f"{FILE}:model_{number}", f"{FILE}:data_{number}", batch, threads=2)
    worker = launcher.start(case, timeout=120.0)
    try:
        opened = worker.ask("open", case=to_json(case), cpus=usable_cpus())
        worker.ask("warm_up", seconds=0.05, floor_seconds=0.0)
        timed = worker.ask("round", steps=3)
        fit = worker.ask("fit", steps=2)["fit"]
    finally:
        launcher.end(worker)
    assert opened["facts"]["parameters"] > 0
    assert timed["steps"] == 3
    assert timed["seconds"] > 0
    assert fit["samples"] >= batch
    assert fit["seconds"] >= fit["first_step_seconds"] > 0
