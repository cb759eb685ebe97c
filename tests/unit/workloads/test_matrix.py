"""Axes to comparisons."""

from harness.workloads.matrix import comparisons, reference_size


def listed(variants, devices, sizes, reference):
    """The comparisons of variants that all have the same sizes, as short text."""
    pairs = [(variant, device) for variant in variants for device in devices]
    found = comparisons(
        variants, devices, dict.fromkeys(pairs, sizes), dict.fromkeys(pairs, reference)
    )
    return [
        (f"{f['variant']}@{f['batch_size']}/{f['device']}", *differs.values())
        for f, differs in found
    ]


def test_each_batch_size_is_compared_with_one_of_them():
    """That one with itself: the noise floor."""
    assert listed(["a"], ["cpu"], [64, 256], 256) == [("a@64/cpu", 256), ("a@256/cpu", 256)]


def test_each_model_is_compared_with_the_first_at_its_reference_size():
    """And has its own batch sizes."""
    found = listed(["a", "b"], ["cpu"], [8, 16], 8)
    own = [("a@8/cpu", 8), ("a@16/cpu", 8), ("b@8/cpu", 8), ("b@16/cpu", 8)]
    assert found == [*own, ("b@8/cpu", "a")]


def test_a_further_model_of_one_batch_size_is_not_measured_twice():
    """Its time is known from the comparison with the first."""
    assert listed(["a", "b"], ["cpu"], [8], 8) == [("a@8/cpu", 8), ("b@8/cpu", "a")]


def test_each_further_device_is_compared_with_the_first():
    """At every size that both have."""
    found = listed(["a"], ["cpu", "gpu"], [8, 16], 8)
    assert found[-2:] == [("a@8/gpu", "cpu"), ("a@16/gpu", "cpu")]


def test_a_model_without_a_size_that_fits_is_in_no_comparison():
    """Its search says why."""
    sizes = {("a", "cpu"): [], ("b", "cpu"): [8]}
    found = comparisons(["a", "b"], ["cpu"], sizes, {("b", "cpu"): 8})
    assert [fields["variant"] for fields, _ in found] == ["b"]


def test_the_reference_is_256_or_the_smallest():
    """As in the suites."""
    assert reference_size([1024, 256, 64]) == 256
    assert reference_size([128, 64]) == 64
