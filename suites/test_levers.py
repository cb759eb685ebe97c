"""Which settings make training faster? Each alone, then the best combination."""

import pytest

pytestmark = pytest.mark.matrix(variants=["baseline"], batch_sizes=[256])


def test_lever(tune, lever, variant, batch_size, device):
    tune.alone(lever, variant, batch_size=batch_size, device=device)


def test_stack(tune, variant, batch_size, device):
    """The best combination of the settings that the tests before have measured."""
    tune.stack(variant, batch_size=batch_size, device=device)
