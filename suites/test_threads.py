"""How much faster are more CPU threads than one?"""

import pytest


@pytest.mark.matrix(variants=["baseline"])
def test_threads(train, variant, threads):
    train(variant, batch_size=256, threads=threads, device="cpu", reference={"threads": 1})
