"""How much faster is the GPU than the CPU, and when does it pay?"""

import pytest


@pytest.mark.matrix(devices=["gpu"])
def test_device(train, variant, batch_size, device):
    train(variant, batch_size=batch_size, device=device, reference={"device": "cpu"})
