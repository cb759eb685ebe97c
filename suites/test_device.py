"""How much faster is the GPU than the CPU, and from how many steps on?"""

import pytest


@pytest.mark.matrix(devices=["gpu"])
def test_device(train, variant, batch_size, device):
    train(variant, batch_size=batch_size, device=device, reference={"device": "cpu"})
