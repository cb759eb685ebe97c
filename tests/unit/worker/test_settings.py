"""Levers that a worker sets, over a Keras that only remembers."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from harness.records import Case
from harness.worker import feeds, models
from harness.workloads import levers

PLAIN = Case("mine", "none", 8, backend="torch", device="gpu")


def test_a_worker_executes_the_statements_of_a_case(monkeypatch):
    """Precision always; of the others those that are set."""
    calls = []
    keras = SimpleNamespace(
        config=SimpleNamespace(set_dtype_policy=calls.append),
        utils=SimpleNamespace(set_random_seed=calls.append),
    )
    torch = SimpleNamespace(
        backends=SimpleNamespace(
            cuda=SimpleNamespace(matmul=SimpleNamespace()), cudnn=SimpleNamespace()
        )
    )
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setitem(sys.modules, "torch", torch)
    models.configure(levers.change(PLAIN, "tf32=on+precision=mixed_bfloat16"))
    assert calls == ["mixed_bfloat16", 0]
    assert torch.backends.cuda.matmul.allow_tf32 is True
    assert torch.backends.cudnn.allow_tf32 is True


class FakeData:
    """tf.data as the list of what was called."""

    def __init__(self):
        self.calls = []
        self.data = SimpleNamespace(
            AUTOTUNE=-1, Dataset=SimpleNamespace(from_tensor_slices=lambda arrays: self)
        )

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append((name, *arguments))
            return self

        return call


@pytest.mark.parametrize(
    ("feed", "calls"),
    [
        ("slices", [("shuffle", 20), ("batch", 8), ("prefetch", -1)]),
        ("cached", [("batch", 8), ("cache",), ("shuffle", 3), ("prefetch", -1)]),
    ],
)
def test_a_feed_is_the_expression_that_is_printed(monkeypatch, feed, calls):
    """Of several inputs the samples count, not the inputs."""
    tensorflow = FakeData()
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    x = {"a": np.zeros((20, 3)), "b": np.zeros(20)}
    found = feeds._of_arrays(feed, "tensorflow", (x, np.zeros(20)), 8)
    assert found == {"x": tensorflow}
    assert tensorflow.calls == calls
