"""Models and data as people write them, with real TensorFlow: what Keras trains is measured."""

import subprocess
import sys

import pytest

from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Measurement

pytestmark = pytest.mark.slow
MODELS = '''
import keras
import numpy as np
from keras import layers, ops


def network(optimizer="adam", loss="mse"):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5, "relu"), layers.Dense(1)])
    model.compile(optimizer, loss)
    return model


def accumulating():
    return network(keras.optimizers.Adam(gradient_accumulation_steps=8))


class Punish(layers.Layer):
    def call(self, x):
        self.add_loss(ops.mean(ops.square(x)))
        return x


def without_loss():
    x = keras.Input((6,))
    model = keras.Model(x, Punish()(layers.Dense(3)(x)))
    model.compile("adam")
    return model


class Pair(keras.Model):
    """Two optimizers, a compile() of its own, and no entry named loss."""

    def __init__(self):
        super().__init__()
        self.one, self.two = layers.Dense(1), layers.Dense(1)
        self.seen = keras.metrics.Mean(name="one_loss")

    def compile(self, first, second):
        super().compile()
        self.optimizers = first, second

    @property
    def metrics(self):
        return [self.seen]

    def train_step(self, data):
        import tensorflow as tf

        for layer, optimizer in zip((self.one, self.two), self.optimizers, strict=True):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(layer(data[0]) - 1.0))
            slopes = tape.gradient(loss, layer.trainable_weights)
            optimizer.apply_gradients(zip(slopes, layer.trainable_weights, strict=True))
        self.seen.update_state(loss)
        return {"one_loss": self.seen.result()}


def two_optimizers():
    model = Pair()
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.Adam())
    return model


def stateful():
    model = keras.Sequential(
        [keras.Input(batch_shape=(8, 3, 2)), layers.LSTM(4, stateful=True), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    return model


def frozen():
    model = network()
    model.trainable = False
    model.compile("adam", "mse")
    return model


def still():
    return network(keras.optimizers.SGD(0.0))


def needs(width, depth=1):
    return network()


def arrays(n=83):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 6)).astype("float32"), rng.normal(size=n)


def x_alone():
    return arrays()[0]


def x_and_none():
    return arrays()[0], None


def weighted():
    return *arrays(), np.ones(83)


def sequences():
    return np.zeros((83, 3, 2)), np.zeros(83)


def sparse():
    import scipy.sparse

    return scipy.sparse.csr_matrix(arrays()[0]), arrays()[1]


def frame():
    import pandas as pd

    x = pd.DataFrame(arrays()[0], index=range(83, 0, -1))
    x[0] = x[0] > 0
    return x, pd.Series(arrays()[1], index=range(5, 88))


def endless():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays(8)).batch(8).repeat()


def two_sets():
    import tensorflow as tf

    return tuple(tf.data.Dataset.from_tensor_slices(arrays(n)).batch(8) for n in (80, 16))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 10

    def __getitem__(self, number):
        return arrays(8)


def pydataset():
    return Batches()


def generator():
    while True:
        yield arrays(8)


def words():
    return arrays()[0], ["low", "high"] * 41 + ["low"]


def ragged():
    return [[1.0] * 6, [1.0] * 5], [0, 1]
'''
SCRIPT = """
import argparse, sys
import keras, numpy as np

options = argparse.ArgumentParser()
options.add_argument("--epochs", type=int, default=99999)
options = options.parse_args()
assert len(sys.argv) == 1
print("✓ loading")
x_train, y = np.ones((77, 6)), np.zeros(77)
other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
other.compile("sgd", "mse")
other.fit(np.ones((4, 2)), np.ones(4), epochs=options.epochs)
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
import tensorflow as tf

endless = tf.data.Dataset.from_tensor_slices((x_train, y)).batch(7).repeat()
history = model.fit(x_train, y, 32, options.epochs, validation_data=endless, validation_steps=1)
model.save("would_overwrite.keras")
print(history.history["loss"][-1])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the models, the script, and a package."""
    path = tmp_path_factory.mktemp("two words, März")
    (path / "models.py").write_text(MODELS)
    (path / "queue.py").write_text(SCRIPT)
    (path / "nets").mkdir()
    (path / "nets" / "__init__.py").write_text("")
    (path / "nets" / "parts.py").write_text(MODELS)
    (path / "nets" / "net.v2.py").write_text("from models import network\n")
    (path / "nets" / "net.py").write_text("from .parts import network\n")
    return path


@pytest.mark.parametrize(
    ("model", "data", "samples"),
    [
        ("accumulating", "arrays", 83),
        ("without_loss", "x_alone", 83),
        ("without_loss", "x_and_none", 83),
        ("two_optimizers", "arrays", 83),
        ("stateful", "sequences", 80),
        ("network", "weighted", 83),
        ("network", "sparse", 83),
        ("network", "frame", 83),
        ("network", "endless", 60_000),
        ("network", "two_sets", 80),
        ("network", "pydataset", 80),
        ("network", "generator", 60_000),
    ],
)
def test_what_plain_keras_trains_is_measured(make_runner, folder, model, data, samples):
    """Rounds and a part of a `fit`."""
    case = Case(f"{folder}/models.py:{model}", f"{folder}/models.py:{data}", 8, threads=1)
    outcome = make_runner().measure(case, case)
    assert isinstance(outcome, Measurement), outcome
    assert outcome.facts.train_samples == samples
    assert any(start.fit for start in outcome.starts)


def test_a_script_is_executed_up_to_its_own_fit_and_trains_its_data(tried, make_runner, folder):
    """Though its file has the name of a module, and trains another model before."""
    assert tried(f"{folder}/queue.py:model").dataset == f"{folder}/queue.py:fit"
    case = Case(f"{folder}/queue.py:model", f"{folder}/queue.py:fit", 8, threads=1)
    outcome = make_runner().measure(case, case)
    assert isinstance(outcome, Measurement), outcome
    assert outcome.facts.train_samples == 77
    assert not (folder / "would_overwrite.keras").exists()


@pytest.mark.parametrize(
    ("variant", "dataset", "message"),
    [
        ("models.py:frozen", "auto", "the model has no trainable weight"),
        ("models.py:needs", "auto", "cannot be called without width"),
        ("models.py:network", "models.py:words", r"as y text \('low'\), not numbers"),
        ("models.py:network", "models.py:ragged", "unlike length; pad them"),
    ],
)
def test_what_cannot_be_trained_is_one_line(tried, folder, variant, dataset, message):
    """With what to do."""
    data = dataset if dataset == "auto" else f"{folder}/{dataset}"
    with pytest.raises(WorkerFailed, match=message) as caught:
        tried(f"{folder}/{variant}", data)
    assert "\n" not in str(caught.value)


def test_another_batch_size_than_the_fixed_one_names_both(make_runner, folder):
    """And the trial says which one it is."""
    runner = make_runner()
    case = Case(f"{folder}/models.py:stateful", f"{folder}/models.py:sequences", 16, threads=1)
    outcome = runner.measure(case, case)
    wanted = "batch size 16 cannot be trained: the model's inputs fix the batch size 8"
    assert wanted in outcome.message


def test_parameters_that_wait_are_no_failure(tried, folder):
    """A learning rate of 0 is a caution later on."""
    assert tried(f"{folder}/models.py:still").parameters == 41


@pytest.mark.parametrize("name", ["net.py", "net.v2.py"])
def test_a_file_of_a_package_is_imported_as_a_part_of_it(tried, folder, name):
    """Where its name can be one."""
    (folder / "nets" / "models.py").write_text(MODELS)
    assert tried(f"{folder}/nets/{name}:network").parameters == 41


SLOW = """
import time

import keras
import numpy as np
from keras import layers


class Slow(layers.Layer):
    def call(self, x):
        import tensorflow as tf

        def wait(x):
            Slow.calls += 1
            time.sleep(0.2 if Slow.calls <= 6 else 0.0)
            return x

        Slow.calls = 0
        y = tf.numpy_function(wait, [x], tf.float32)
        return x + 0 * tf.stop_gradient(tf.ensure_shape(y, x.shape))


def build():
    model = keras.Sequential([keras.Input((6,)), Slow(), layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    return model


def data():
    return np.ones((64, 6)), np.zeros(64)
"""
PRECISIONS = """
import keras
import tensorflow as tf


def _of(policy):
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def half():
    return _of("mixed_float16")


def double():
    keras.config.set_floatx("float64")
    return _of("float64")


def threads():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(7)
    return _of("float32")
"""


def test_slow_first_steps_are_counted_in_the_trial(tried, tmp_path):
    """Six equal slow steps would look steady."""
    (tmp_path / "slow.py").write_text(SLOW)
    assert tried(f"{tmp_path}/slow.py:build").slow_steps >= 6


def test_what_a_file_sets_is_kept_or_told(make_runner, tmp_path):
    """Precisions are kept; threads are those of the case."""
    file = tmp_path / "sets.py"
    file.write_text(PRECISIONS)
    runner, facts = make_runner(), {}
    for name in ("half", "double", "threads"):
        case = Case(f"{file}:{name}", "fitted", 8, threads=2)
        outcome = runner.measure(case, case)
        assert isinstance(outcome, Measurement), outcome
        facts[name] = outcome.facts
    assert [f.policy for f in facts.values()] == ["mixed_float16", "float64", "float32"]
    assert facts["threads"].own_settings == (
        "set_intra_op_parallelism_threads(1) (not done, the case decides it)",
        "set_random_seed(7) (done)",
    )


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_saved_model_is_measured_with_its_optimizer(make_runner, tmp_path, suffix):
    """The variables of an optimizer in an `.h5` file are made anew."""
    file = tmp_path / f"saved.{suffix}"
    script = (
        "import keras, numpy as np\n"
        "model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])\n"
        "loss = keras.losses.MeanSquaredError()\n"
        "model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)\n"
        "model.fit(np.ones((8, 6)), np.ones(8), verbose=0)\n"
        f"model.save({str(file)!r})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    case = Case(str(file), "fitted", 8, threads=1)
    outcome = make_runner().measure(case, case)
    assert isinstance(outcome, Measurement), outcome
    assert outcome.facts.optimizer == "SGD"
    assert outcome.facts.optimizer_bytes >= 4 * 7  # the momentum of each weight
