"""The published figures of the Keras project's example models."""

import dataclasses

import pytest

from harness.analyze import keras_examples
from harness.analyze.keras_examples import Published
from harness.records import Case


def test_there_are_eight_models_with_figures_of_both_devices():
    """Each has a variant."""
    assert len(keras_examples.names()) == 8
    for name in keras_examples.names():
        for device in ("cpu", "gpu"):
            case = Case(name, "fitted", 8, device=device)
            assert keras_examples.is_example(case)
            assert keras_examples.published(case).samples_per_s > 100
    assert not keras_examples.is_example(Case("baseline", "mnist", 8))


def test_every_model_can_be_built_by_name():
    """The file that builds them has a function for each."""
    from harness.workloads import keras_examples as models

    for name in keras_examples.names():
        assert callable(getattr(models, name.partition(":")[2]))


def test_what_contradicts_itself_is_told():
    """The convolutional network on CIFAR-10: 1393 s for 6 epochs of 3.21 s."""
    found = {
        (name, device)
        for name in keras_examples.names()
        for device in ("cpu", "gpu")
        if keras_examples.published(Case(name, "fitted", 8, device=device)).contradiction
    }
    assert found == {("keras_examples:cifar10_cnn", device) for device in ("cpu", "gpu")}
    published = keras_examples.published(Case("keras_examples:cifar10_cnn", "fitted", 8))
    assert published.contradiction == "1393 s in all, but 6 epochs of 3.21 s make 19 s"


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({}, ""),
        ({"wall_s": 75.0}, ""),  # a start may take long
        ({"wall_s": 200.0}, "200 s in all, but 3 epochs of 5 s make 15 s"),
        ({"samples_per_s": 2500.0}, "12500 samples in 5 s, but an epoch has 10000"),
        ({"samples_per_s": 500.0}, ""),  # the mean of a rate may be lower
    ],
)
def test_a_doubt_needs_more_than_rounding_or_a_start(change, doubt):
    """Of a minute, or of a tenth."""
    row = Published(256, wall_s=20.0, epochs=3, epoch_s=5.0, samples_per_s=2000.0, samples=10_000)
    assert dataclasses.replace(row, **change).contradiction == doubt
