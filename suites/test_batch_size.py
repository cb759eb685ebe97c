"""How much faster is a larger batch than 256, or than the smallest asked for, per sample?"""


def test_batch_size(train, variant, batch_size, device):
    reference = {"batch_size": train.reference_size}
    train(variant, batch_size=batch_size, device=device, reference=reference)
