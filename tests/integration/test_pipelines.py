"""A timed `fit` on a user's own pipeline, with real frameworks."""

import pytest

from harness.measure.machine.facts import usable_cpus
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, to_json

pytestmark = pytest.mark.slow
SECONDS = 0.05  # per batch of 8 samples, far longer than a step
FILE = f"""
import time

import keras
import numpy as np

SECONDS = {SECONDS}


def build():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def arrays(count=8):
    return np.ones((count, 6), "float32"), np.ones((count, 1), "float32")


def slow():
    time.sleep(SECONDS)
    return arrays()


def waiting(prefetch=False):
    import tensorflow as tf

    def wait(number):
        time.sleep(SECONDS)
        return number

    batches = tf.data.Dataset.range(200).map(lambda n: tf.py_function(wait, [n], tf.int64))
    return batches.map(lambda n: tuple(map(tf.constant, arrays())))


def generator():
    for _ in range(60):
        yield slow()


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 60

    def __getitem__(self, number):
        return slow()


def pydataset():
    return Batches()


def loader():
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Slow(Dataset):
        def __len__(self):
            return 480

        def __getitem__(self, number):
            time.sleep(SECONDS / 8)
            return torch.ones(6), torch.ones(1)

    return DataLoader(Slow(), batch_size=8)


def sampled():
    from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

    inner = loader().dataset
    return DataLoader(inner, batch_sampler=BatchSampler(SequentialSampler(inner), 8, False))


def classes():
    import tensorflow as tf

    return tf.data.Dataset.from_tensors((np.ones((8, 6)), np.zeros(8, "int64"))).repeat(20)


def two_classes():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    return model
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pipelines") / "its.py"
    path.write_text(FILE)
    return path


@pytest.fixture
def fitted(launcher, file):
    """Open a case, and time a `fit` of some steps; facts and the `fit`."""

    def of(data, batch=8, steps=12, variant="build", **fields):
        case = Case(f"{file}:{variant}", f"{file}:{data}", batch, threads=2, **fields)
        worker = launcher.start(case, timeout=200.0)
        try:
            facts = worker.ask("open", case=to_json(case), cpus=usable_cpus())["facts"]
            worker.ask("warm_up", seconds=0.05, floor_seconds=0.0)
            return facts, worker.ask("fit", steps=steps)["fit"]
        finally:
            launcher.end(worker)

    return of


def seconds_per_sample(fit):
    later = fit["samples"] * (1 - fit["first_steps"] / fit["steps"])
    return (fit["seconds"] - fit["first_step_seconds"]) / later


@pytest.mark.parametrize(
    ("backend", "batch"), [("tensorflow", 8), ("tensorflow", 16), ("jax", 8), ("torch", 16)]
)
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("waiting", "tf.data"),
        ("generator", "generator"),
        ("pydataset", "PyDataset"),
        ("loader", "DataLoader"),
    ],
)
def test_a_fit_waits_for_the_pipeline(fitted, backend, data, kind, batch):
    """At its own batch size, and at another; rounds do not."""
    facts, fit = fitted(data, batch, backend=backend, jit=backend == "jax")
    assert (facts["pipeline"], facts["in_memory"], fit["feed"]) == (kind, "", kind)
    found = seconds_per_sample(fit)
    assert found >= 0.85 * SECONDS / 8  # Keras prefetches what a generator gives: a batch or two
    assert found <= 3 * SECONDS / 8  # this machine may be busy


def test_a_fit_that_waits_long_is_ended(fitted):
    """After some seconds, whatever the number of steps."""
    _, fit = fitted("waiting", steps=150)
    assert 20 <= fit["steps"] < 150
    assert not fit["whole_epoch"]
    assert fit["samples"] == 8 * fit["steps"]


def test_batches_of_a_sampler_have_one_size(fitted):
    """At another one the `fit` trains from memory, with the reason."""
    facts, fit = fitted("sampled", 16)
    assert facts["in_memory"] == "a batch_sampler makes its batches, of 8 samples"
    assert fit["feed"] == "arrays"
    facts, fit = fitted("sampled", 8)
    assert (facts["in_memory"], fit["feed"]) == ("", "DataLoader")


def test_another_form_than_the_model_takes_is_trained_from_memory(fitted):
    """With the reason."""
    facts, fit = fitted("classes", variant="two_classes")
    assert facts["in_memory"].endswith("are converted to (6,), (2,)")
    assert fit["feed"] == "arrays"


@pytest.mark.parametrize(
    ("data", "backend", "setting", "faster"),
    [
        ("waiting", "tensorflow", "arrays", True),
        ("waiting", "tensorflow", "cache", True),
        ("waiting", "tensorflow", "prefetch", False),
        ("waiting", "tensorflow", "parallel", False),
        ("pydataset", "tensorflow", "workers", True),
        ("loader", "torch", "workers", True),
    ],
)
def test_a_setting_changes_the_pipeline(fitted, data, backend, setting, faster):
    """Where steps take no time, prefetching hides nothing, and workers share the wait."""
    _, fit = fitted(data, steps=30, backend=backend, levers=(f"feed={setting}",))
    assert fit["feed"] == setting
    assert (seconds_per_sample(fit) < 0.8 * SECONDS / 8) == faster


def test_a_setting_for_a_pipeline_needs_one(launcher, file):
    """The reason says what there is."""
    case = Case(f"{file}:build", f"{file}:arrays", 8, threads=2, levers=("feed=prefetch",))
    worker = launcher.start(case, timeout=100.0)
    try:
        worker.ask("open", case=to_json(case), cpus=usable_cpus())
        worker.ask("warm_up", seconds=0.05, floor_seconds=0.0)
        with pytest.raises(WorkerFailed, match="changes a pipeline: the data are arrays"):
            worker.ask("fit", steps=3)
    finally:
        launcher.end(worker)
