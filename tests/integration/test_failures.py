"""What a user's model may do wrong, in real workers: each is a row with its reason."""

import pytest

from harness.records import Case, Failure, Measurement

pytestmark = pytest.mark.slow

MODEL = """
import os, signal, sys, time
import keras
from keras import layers

def model(shape=(28, 28, 1), classes=10, loss="categorical_crossentropy", compiled=True):
    model = keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(classes, activation="softmax")]
    )
    if compiled:
        model.compile("sgd", loss)
    return model
"""


@pytest.fixture
def measure(make_runner, tmp_path):
    """Measure a build function, given as source, against itself."""

    def go(body, prefix=MODEL, **changes):
        file = tmp_path / "mine.py"
        file.write_text(f"{prefix}\ndef build():\n    {body}\n")
        case = Case(f"{file}:build", "synthetic", 32)
        return make_runner(**changes).measure(case, case)

    return go


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("raise RuntimeError('no such layer')", "error", "raised RuntimeError: no such layer"),
        ("return None", "error", "returned NoneType, not a Keras model"),
        ("return model(compiled=False)", "error", "a model that is not compiled"),
        (
            "return model(shape=(32, 32, 3))",
            "error",
            "(32, 32, 3), synthetic has (28, 28, 1)",
        ),
        ("return model(classes=7)", "error", "has output shape (7), synthetic has 10 classes"),
        ("return model(loss=lambda y, p: p * float('nan'))", "diverged", "loss of the first step"),
        ("sys.exit(3)", "error", "SystemExit"),
        ("raise MemoryError", "oom", "MemoryError"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "ended by SIGKILL during 'open'"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed", "ended by SIGSEGV during 'open'"),
    ],
)
def test_a_build_that_goes_wrong_is_a_failure_with_its_reason(measure, body, kind, message):
    """Never an exception in the parent, never a lost run."""
    outcome = measure(body)
    assert isinstance(outcome, Failure)
    assert (kind, True) == (outcome.kind, message in outcome.message), outcome.message
    assert "\n" not in outcome.message


def test_a_file_that_cannot_be_imported_is_a_failure(measure):
    """With the error of its import."""
    outcome = measure("return None", prefix="import no_such_package")
    assert isinstance(outcome, Failure)
    assert "no_such_package" in outcome.message


def test_a_worker_that_is_silent_too_long_is_ended(measure):
    """The next case gets a fresh one."""
    outcome = measure("print('before', flush=True); time.sleep(600)", timeout_seconds=2.0)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"
    assert "silent for 2 s" in outcome.message
    assert "before" in outcome.log_tail


def test_what_a_model_prints_is_a_log_and_harms_nothing(measure):
    """stdout is no result channel."""
    assert isinstance(measure('print(\'{"event": "answer"}\'); return model()'), Measurement)
