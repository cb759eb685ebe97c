"""How much faster is another Keras backend than TensorFlow?"""

import pytest

REFERENCE = "tensorflow"


@pytest.mark.matrix(batch_sizes=[256])
def test_backend(train, variant, batch_size, device, backend):
    train(
        variant,
        batch_size=batch_size,
        device=device,
        backend=backend,
        reference={"backend": REFERENCE},
    )
