"""Models that nobody here wrote, with real TensorFlow: data made to fit, every loss, trials."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.analyze import keras_examples
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Measurement

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LOSSES = """
import inspect, keras, math, sys
from keras import layers
from harness.worker.signature import signature
from harness.worker.backends.tensorflow import TensorFlowTrainer as Trainer
from harness.records import Case
from harness.workloads import fitting

SHAPES = {"CTC": (40, 12), "Circle": (16,)}
names = [n for n, kind in vars(keras.losses).items() if inspect.isclass(kind) and n != "Loss"]
for name in names:
    shape = SHAPES.get(name, (4,))
    last = layers.UnitNormalization() if name == "Circle" else layers.Activation("softmax")
    model = keras.Sequential([keras.Input((6,)), layers.Dense(math.prod(shape)),
                              layers.Reshape(shape), last])
    loss = getattr(keras.losses, name)()
    model.compile("sgd", loss)
    case = Case("mine", "fitted", 8)
    data = fitting.make(signature(model, None), 8)
    trainer = Trainer(model, data, case)
    loss = trainer.run(2)
    assert math.isfinite(loss), (name, loss)
    trainer.fit(2, 60.0)
    print(name)
"""


def test_every_loss_of_keras_gets_targets_that_it_can_train_on():
    """Two steps and a short `fit` each."""
    done = subprocess.run(
        [sys.executable, "-c", LOSSES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.split()) >= 22


@pytest.mark.parametrize(
    ("variant", "fields", "signature"),
    [
        ("transformer.py:build", {}, "tokens int32 (64) → (2)"),
        ("table.py:build", {}, "numbers float32 (8), city int32 () → (1), (1)"),
        (
            "keras.applications:MobileNetV3Small",
            {"input_shape": (64, 64, 3)},
            "input float32 (64, 64, 3) → (1000)",
        ),
    ],
)
def test_data_is_made_to_fit(tried, variant, fields, signature):
    """Integers for an embedding, several inputs and outputs, images of any size; where asked."""
    name = variant if "applications" in variant else str(EXAMPLES / variant)
    found = tried(name, "fitted", **fields)
    assert (found.dataset, found.signature, found.no_data) == ("fitted", signature, "")


def test_a_model_of_mnist_s_shape_gets_the_images(tried):
    """So that it compares with the bundled ones."""
    assert tried(f"{EXAMPLES / 'my_model.py'}:small").dataset == "digits"


def test_the_data_of_a_function_is_used(tried):
    """By the names of inputs and outputs."""
    data = f"{EXAMPLES / 'table.py'}:data"
    found = tried(f"{EXAMPLES / 'table.py'}:build", data)
    assert (found.dataset, found.train_samples) == (data, 20_000)


BROKEN = """
import keras
from keras import layers


def _model(*layers_, compiled=True, **options):
    model = keras.Sequential([keras.Input((4,)), *layers_])
    if compiled:
        model.compile(options.pop("optimizer", "sgd"), options.pop("loss", "mse"), **options)
    return model


def raises():
    raise RuntimeError("no weights\\nfor you")


def nothing():
    return None


def loose():
    return _model(layers.Dense(1), compiled=False)


def endless():
    return _model(layers.Dense(1), layers.Lambda(lambda x: x * float("inf")))


def late():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.0, 4, 1.0)
    return _model(layers.Dense(1), optimizer=keras.optimizers.SGD(schedule))


def sequence():
    inputs = keras.Input((None,))
    x = layers.GlobalAveragePooling1D()(layers.Embedding(50, 4)(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def words():
    inputs = keras.Input((4,))
    x = layers.Embedding(5, 3)(keras.ops.cast(inputs * 1000, "int32"))
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    return model


def hidden():
    model = keras.Sequential([layers.Dense(3)])
    model.compile("sgd", "mse")
    return model
"""


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text(BROKEN)
    return path


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("raises", "error", "raised RuntimeError: no weights for you"),
        ("nothing", "error", "returned NoneType, not a Keras model"),
        ("loose", "error", "give --loss and --optimizer"),
        ("endless", "diverged", "the loss of step 1 is"),
        ("hidden", "error", "does not say what it takes"),
        ("absent", "error", "has no function 'absent'"),
    ],
)
def test_a_model_that_cannot_be_trained_says_why(tried, broken, name, kind, message):
    """Before its first round, in one line."""
    with pytest.raises(WorkerFailed, match=message) as caught:
        tried(f"{broken}:{name}")
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message", "frames"),
    [
        ("raises", "raised RuntimeError", ["in raises"]),
        ("nothing", "returned NoneType", []),
        ("words", r"^InvalidArgumentError: indices\[\d,\d\] = -?\d+ is not in \[0, 5\)$", []),
    ],
)
def test_a_traceback_holds_the_frames_of_the_user_s_file(tried, broken, name, message, frames):
    """None where the line says all; TensorFlow's page about a graph is cut to its sentence."""
    with pytest.raises(WorkerFailed, match=message) as caught:
        tried(f"{broken}:{name}")
    told = [line for line in caught.value.log_tail.splitlines() if line.startswith('  File "')]
    assert [line.rpartition(", ")[2] for line in told] == frames
    assert all(str(broken) in line for line in told)


@pytest.mark.parametrize(
    "line",
    ["from made import table as data", "data = functools.partial(table, 17)", "data = table(17)"],
)
def test_data_that_is_imported_assigned_or_ready_is_trained(tried, broken, line):
    """As is a function that the file defines."""
    table = "import numpy as np\n\ndef table(n=17):\n    return np.ones((n, 4)), np.ones((n, 1))\n"
    (broken.parent / "made.py").write_text(table)
    own = broken.with_name("own.py")
    own.write_text(f"import functools\nfrom made import table\n{BROKEN}\n{line}\n")
    found = tried(f"{own}:late")
    assert (found.dataset, found.train_samples, found.no_data) == (f"{own}:data", 17, "")


def test_a_schedule_may_begin_at_a_learning_rate_of_0(tried, broken):
    """The weights move in the second step."""
    found = tried(f"{broken}:late")
    assert (found.dataset, found.no_data) == ("fitted", "no data found")


def test_an_open_length_is_closed_and_float_inputs_of_an_embedding_are_whole(tried, broken):
    """As asked, or with a usual one."""
    name = f"{broken}:sequence"
    assert tried(name).signature == "input float32 (128) → (3)"
    assert tried(name, input_shape=(20,)).signature == "input float32 (20) → (3)"


def test_a_model_that_is_not_compiled_gets_a_loss_and_an_optimizer(tried, broken):
    """Those that are asked for."""
    found = tried(f"{broken}:loose", loss="mae", optimizer="adam")
    assert found.parameters == 5


def test_a_shape_as_asked_builds_a_model_without_an_input(tried, broken):
    """Its output is known then."""
    found = tried(f"{broken}:hidden", input_shape=(6,))
    assert found.parameters == 21


def test_an_unknown_application_is_explained(tried):
    """With names that are near."""
    with pytest.raises(WorkerFailed, match="did you mean MobileNetV3Small"):
        tried("keras.applications:MobilNetV3Smal")


def test_a_model_of_several_inputs_is_measured(make_runner):
    """Rounds, `fit` and all."""
    case = Case(f"{EXAMPLES / 'table.py'}:build", "fitted", 32, threads=1)
    outcome = make_runner().measure(case, case)
    assert isinstance(outcome, Measurement), outcome
    assert outcome.facts.signature.startswith("numbers float32 (8)")
    assert all(start.fit for start in outcome.starts if start.role == "case")


def test_a_search_ends_at_the_memory_it_may_take(make_runner):
    """Without harm to anything else: allocations fail."""
    case = Case("keras.applications:MobileNetV3Small", "fitted", 8, threads=2,
                input_shape=(160, 160, 3))  # fmt: skip
    found = make_runner().search(case, 60_000, 1600 * 2**20)
    failed = [probe for probe in found.probes if probe.status != "fits"]
    assert [probe.status for probe in failed] == ["oom"] * len(failed), found
    assert failed
    assert all(probe.peak_bytes < 1800 * 2**20 for probe in failed)


@pytest.mark.parametrize("name", keras_examples.names())
def test_every_example_of_keras_is_trained(tried, name):
    """On random data of its shape, or on images."""
    found = tried(name)
    assert found.dataset == ("digits" if "(28, 28, 1)" in found.signature else "fitted")
    assert found.parameters > 10_000
