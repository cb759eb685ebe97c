"""How much faster is a smaller model than the baseline, at the same batch size?"""

import pytest

REFERENCE = "baseline"


@pytest.mark.matrix(variants=["improved"])
def test_model_size(train, variant, batch_size, device):
    train(variant, batch_size=batch_size, device=device, reference={"variant": REFERENCE})


def test_noise_floor(train, device):
    """The reference against itself: what a difference must exceed to mean anything."""
    train(REFERENCE, device=device)
