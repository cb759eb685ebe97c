"""How much faster is a larger batch than 256, or than the smallest asked for, per sample?"""


def test_batch_size(train, variant, batch_size, device):
    sizes = train.batch_sizes
    reference = 256 if 256 in sizes else min(sizes)
    train(variant, batch_size=batch_size, device=device, reference={"batch_size": reference})
