"""How much faster is a larger batch than 256, per sample?"""

REFERENCE = 256


def test_batch_size(train, variant, batch_size, device):
    train(variant, batch_size=batch_size, device=device, reference={"batch_size": REFERENCE})
