"""Real frameworks are traced, and their operations find their layers."""

import dataclasses
import gzip
import json
import os
import subprocess
import sys

import pytest
from fakes import installed

from harness.analyze.explain import layers, memory
from harness.commands.validate.changed_models import variant
from harness.records import Case, Measurement
from harness.worker import backends

pytestmark = pytest.mark.slow

FUNCTIONAL = """
import keras
from keras import layers


def build():
    inputs = keras.Input((24, 24, 3))
    shared = layers.Conv2D(16, 3, padding="same", activation="relu", name="shared")
    inner = [layers.Conv2D(16, 3, padding="same", name="inner"), layers.ReLU(name="relu")]
    x = layers.Conv2D(16, 3, padding="same", name="first")(inputs)
    x = shared(shared(x))
    x = keras.Sequential(inner, name="block")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(10, "softmax", name="head")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
"""
SUBCLASSED = """
import keras
from keras import layers


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(256, "relu")

    def build(self, shape):
        self.dense.build(shape)
        self.built = True

    def call(self, x):
        return keras.ops.matmul(self.dense(x), keras.ops.ones((256, 256)))


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.block = Block(name="block")
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        return self.head(self.block(x))


def build():
    model = Net()
    model.build((None, 256))
    model.compile("sgd", "mse")
    return model


def data():
    import numpy as np

    return np.zeros((1024, 256), "float32"), np.zeros((1024, 1), "float32")
"""
RECURRENT = """
import keras
from keras import layers


class Net(keras.Sequential):
    def train_step(self, data):  # of its own, as users have it
        return super().train_step(data)


def build():
    inputs = [keras.Input((16, 8)), layers.LSTM(48, name="memory"), layers.Dense(1, name="head")]
    model = Net(inputs)
    model.compile("adam", "mse")
    return model
"""
FLAGS = """
import sys
from unittest import mock

from harness.records import Case, to_json
from harness.worker.backends.jax import Jax, JaxTrainer
from harness.worker.commands import Commands
from harness.worker.profile import tracers


def gpus(self):
    import jax

    return jax.devices()


Jax.gpus = gpus
JaxTrainer.device_name = lambda self: "Pretended GPU"
tracers._ONE_BY_ONE = f"--xla_dump_to={sys.argv[1]}"
case = Case("improved", "synthetic", 8, "jax", device="gpu", jit=True)
Commands(mock.Mock()).open(to_json(case), [0], profiled=True)
"""
# What is traced and belongs to no layer, loss, metric or optimizer: at most.
UNATTRIBUTED = {"tensorflow": 0.25, "jax": 0.4, "torch": 0.15}


@pytest.fixture
def profiled(make_runner, tmp_path):
    """Profile a model of a text: its rows by name, and the profile."""

    def of(text, backend, batch=64, dataset="fitted", jit=None):
        (tmp_path / "net.py").write_text(text)
        jit = backends.find(backend).jit_by_default if jit is None else jit
        name = f"{tmp_path}/net.py:build"
        case = Case(name, dataset, batch, backend=backend, jit=jit)
        found = make_runner().profile(case, 1)
        return {row.name: row for row in layers.times(found)}, found

    return of


@pytest.mark.parametrize("backend", installed(*backends.NAMES))
def test_shared_and_nested_layers_have_their_time(profiled, tmp_path, backend):
    """On each backend, forward and backward."""
    rows, found = profiled(FUNCTIONAL, backend)
    assert sum(row.share.value for row in rows.values()) == pytest.approx(1)
    assert rows["unattributed"].share.value < UNATTRIBUTED[backend], rows["unattributed"]
    convolutions = ("first", "shared", "block/inner")
    assert all(rows[name].forward > 0 < rows[name].backward for name in convolutions)
    assert rows["shared"].facts.calls == 2
    assert rows["shared"].facts.macs_per_sample == 2 * 24 * 24 * 9 * 16 * 16
    assert rows["first"].facts.output_shape == (24, 24, 16)
    assert rows["block/inner"].facts.parameters == 9 * 16 * 16 + 16
    # Twice the work of the inner one.
    assert rows["shared"].share.value > rows["block/inner"].share.value
    divided = memory.memory(found)
    assert [one.batch_size for one in found.peaks] == [64, 256]
    assert sum(part.total for part in divided.parts) == pytest.approx(divided.peak)
    kept = {part.name: part.activations for part in divided.parts}
    assert kept["shared"] == 2 * kept["first"] == 2 * 64 * 4 * 24 * 24 * 16
    with gzip.open(tmp_path / "run" / found.trace, "rt", encoding="utf-8") as file:
        names = {one["name"] for one in json.load(file)["traceEvents"]}
    assert any(name.startswith("shared: ") for name in names)


def test_a_compiled_step_of_tensorflow_has_its_layers(profiled):
    """XLA's program names them, as on JAX."""
    rows, _ = profiled(FUNCTIONAL, "tensorflow", jit=True)
    assert rows["unattributed"].share.value < UNATTRIBUTED["jax"], rows["unattributed"]
    convolutions = ("first", "shared", "block/inner")
    assert all(rows[name].forward > 0 < rows[name].backward for name in convolutions)
    assert rows["optimizer"].share.value > 0


@pytest.mark.parametrize("backend", installed(*backends.NAMES))
def test_layers_of_a_subclassed_model_have_paths(profiled, backend):
    """Operations in the call of a layer are its own."""
    rows, _ = profiled(SUBCLASSED, backend, 512, "auto")
    assert {"block", "head"} < rows.keys()
    (dense,) = (name for name in rows if name.startswith("block/"))
    assert rows[dense].facts.macs_per_sample == 256 * 256
    assert rows["block"].facts.macs_per_sample == 256 * 256
    assert rows["block"].share.value > rows["head"].share.value
    assert rows["optimizer"].share.value > 0


@pytest.mark.parametrize("_backend", installed("jax"))
def test_xla_has_the_flag_of_a_profile_when_it_compiles(tmp_path, _backend):
    """It reads flags when it first looks for devices; another flag stands for ours here."""
    folder = tmp_path / "dump"
    command = [sys.executable, "-c", FLAGS, str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert any(folder.glob("*train_step*")), "XLA did not read the flag"


@pytest.mark.parametrize("backend", installed("tensorflow", "torch"))
def test_the_steps_of_a_recurrent_layer_are_those_of_its_cell(profiled, backend):
    """In a loop of the framework; a step of the user's own has its parts, too."""
    rows, _ = profiled(RECURRENT, backend, 64)
    memory = [row for name, row in rows.items() if name.startswith("memory")]
    assert sum(row.forward for row in memory) > 0 < sum(row.backward for row in memory)
    others = [row for row in rows.values() if row.facts is not None and row not in memory]
    assert sum(row.share.value for row in memory) > sum(row.share.value for row in others)
    assert sum(row.facts.macs_per_sample or 0 for row in memory) == 16 * 4 * 48 * (8 + 48)
    assert rows["optimizer"].share.value > 0
    rest = rows["unattributed"]  # small operations leave gaps, on a slow machine long ones
    gaps = dict(rest.operations).get("between operations", 0.0)
    assert rest.share.value * (1 - gaps) < 0.15, rest.operations


@pytest.mark.parametrize("backend", installed(*backends.NAMES))
def test_a_model_with_copies_of_a_layer_is_trained(make_runner, backend):
    """Side by side with weights of their own, in a row without."""
    plain = Case("baseline", "digits", 16, backend, jit=backends.find(backend).jit_by_default)
    runner = make_runner()
    more = {("conv2d_1", 2): 3 * 3 * 32 * 64 + 64, ("dense", 3): 2 * (9216 * 128 + 128)}
    for (layer, times), parameters in {**more, ("dropout", 4): 0}.items():
        case = dataclasses.replace(plain, variant=variant("baseline", layer, times))
        found = runner.measure(case, plain)
        assert isinstance(found, Measurement), found
        added = found.facts.parameters - found.reference_facts.parameters
        assert added == parameters
