"""How fast are the Keras project's own example models? `pytest suites/ -m keras_examples`."""

import pytest

from harness.analyze import keras_examples

pytestmark = pytest.mark.keras_examples
SIZES = [128, 256, 512]
BACKENDS = ["tensorflow", "jax"]


@pytest.mark.matrix(variants=keras_examples.names(), batch_sizes=SIZES, backends=BACKENDS)
def test_example(train, variant, batch_size, device, backend):
    reference = {"batch_size": SIZES[0]}
    train(variant, batch_size=batch_size, device=device, backend=backend, reference=reference)
