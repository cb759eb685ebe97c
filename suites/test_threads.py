"""How much faster are more CPU threads than one?"""

import pytest


@pytest.mark.matrix(variants=["baseline"], devices=["cpu"])
def test_threads(train, variant, threads, device):
    train(variant, batch_size=256, threads=threads, device=device, reference={"threads": 1})
