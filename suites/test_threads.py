"""How much faster are more CPU threads than one?"""

import pytest


@pytest.mark.matrix(variants=["baseline"], batch_sizes=[256], devices=["cpu"])
def test_threads(train, variant, batch_size, threads, device):
    train(
        variant,
        batch_size=batch_size,
        threads=threads,
        device=device,
        reference={"threads": 1},
    )
