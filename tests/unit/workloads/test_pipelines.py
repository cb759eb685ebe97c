"""Pipelines of a user's: what they are, and their batches at another size."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.workloads import pipelines
from harness.workloads.pipelines import Pipeline


class Batches:
    """As a PyDataset."""

    num_batches = 3

    def __getitem__(self, number):
        return np.full((2, 1), number), None

    def on_epoch_end(self):
        """Nothing."""


class Loader:
    """As a DataLoader."""

    dataset = batch_sampler = None
    batch_size: int | None = 4

    def __len__(self):
        return 7


def numbers(sizes):
    """Batches of rising numbers, as (x, y)."""
    first = 0
    for size in sizes:
        x = np.arange(first, first + size)
        first += size
        yield x, {"y": -x}


def of_generator(sizes):
    return Pipeline("generator", lambda: numbers(sizes), None, sizes[0], None)


def test_a_pipeline_is_told_by_what_it_has():
    """Arrays, lists and functions are none."""
    assert pipelines.kind_of(Batches()) == "PyDataset"
    assert pipelines.kind_of(Loader()) == "DataLoader"
    assert pipelines.kind_of(numbers([1])) == "generator"
    assert {pipelines.kind_of(one) for one in (np.ones(3), [1], (1, 2), {}, len)} == {None}


def test_a_pipeline_may_tell_its_length():
    """A generator does not."""
    assert pipelines.length(Batches()) == 3
    assert pipelines.length(Loader()) == 7
    assert pipelines.length(numbers([1])) is None
    assert len([*pipelines.batches(Batches())]) == 3


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 9))
def test_batches_of_another_size_hold_the_same_samples_in_order(sizes, size):
    """All but the last are whole."""
    found = [*of_generator(sizes).sized(size)]
    if size == sizes[0]:  # its own: left alone
        assert [len(x) for x, _ in found] == sizes
        return
    assert [len(x) for x, _ in found[:-1]] == [size] * (len(found) - 1)
    assert 1 <= len(found[-1][0]) <= size
    x = np.concatenate([x for x, _ in found])
    assert x.tolist() == list(range(sum(sizes)))
    assert np.concatenate([y["y"] for _, y in found]).tolist() == (-x).tolist()


def test_an_endless_generator_is_cut_without_an_end():
    """Batch by batch."""
    endless = Pipeline("generator", lambda: numbers(itertools.repeat(3)), None, 3, None)
    found = itertools.islice(endless.sized(7), 4)
    assert [len(x) for x, _ in found] == [7] * 4


@pytest.mark.parametrize(
    ("kind", "is_fixed", "size", "says"),
    [
        ("tf.data", False, 6, ""),
        ("generator", False, 6, ""),
        ("PyDataset", False, 8, ""),
        ("PyDataset", False, 6, "6 samples are no whole number of its batches of 4"),
        ("DataLoader", False, 6, ""),
        ("DataLoader", True, 6, "a batch_sampler makes its batches, of 4 samples"),
        ("DataLoader", True, 4, ""),
    ],
)
def test_a_size_that_is_impossible_has_a_reason(kind, is_fixed, size, says):
    """Else it is empty."""
    assert Pipeline(kind, list, None, 4, None, is_fixed).refusal(size) == says


def test_a_sampler_of_batches_fixes_the_size():
    """The usual one does not."""
    assert not pipelines.is_fixed(Loader())
    loader = Loader()
    loader.batch_size = None
    assert pipelines.is_fixed(loader)
    assert not pipelines.is_fixed(Batches())
