"""What else makes training faster? Each lever alone, then the best of them on top of each other."""

import pytest

pytestmark = pytest.mark.matrix(variants=["baseline"], batch_sizes=[256])


def test_lever(tune, lever, variant, batch_size, device):
    tune.alone(lever, variant, batch_size=batch_size, device=device)


def test_stack(tune, variant, batch_size, device):
    """Of those levers that the tests before have shown to be faster."""
    tune.stack(variant, batch_size=batch_size, device=device)
