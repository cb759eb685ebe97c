"""How much faster is a smaller model than the baseline, at the same batch size?"""

import pytest

REFERENCE = "baseline"
PARTS = ["wide_kernel", "no_hidden_dense", "single_dropout", "no_dropout"]
WIDTHS = ["quarter_width", "half_width", "double_width"]


@pytest.mark.matrix(variants=["improved"])
def test_model_size(train, variant, batch_size, device):
    train(variant, batch_size=batch_size, device=device, reference={"variant": REFERENCE})


@pytest.mark.matrix(variants=[*PARTS, *WIDTHS], batch_sizes=[256])
def test_variant(train, variant, batch_size, device):
    """One of the published changes, or another width, at the published batch size."""
    train(variant, batch_size=batch_size, device=device, reference={"variant": REFERENCE})


def test_noise_floor(train, device):
    """The reference against itself: what a difference must exceed to mean anything."""
    train(REFERENCE, device=device)
