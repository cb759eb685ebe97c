"""What it does to start first is no part of the values of blocks."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.analyze import stats
from harness.analyze.start_order import without_start_order

VALUES = st.lists(st.floats(-2, 2), min_size=4, max_size=13)


def least_squares(values, blocks):
    """Mean and half-width by least squares with a mean and an effect of the place."""
    y, n = np.asarray(values), len(values)
    x = np.column_stack([np.ones(n), [1 - 2 * (block % 2) for block in blocks]])
    solution, *_ = np.linalg.lstsq(x, y, rcond=None)
    rest = y - x @ solution
    error = math.sqrt(float(rest @ rest) / (n - 2) * np.linalg.inv(x.T @ x)[0, 0])
    return solution[0], error * scipy_stats.t.ppf(0.975, n - 2)


@given(values=VALUES, first=st.integers(0, 1))
def test_the_interval_is_that_of_least_squares(values, first):
    """With n-2 degrees of freedom; also where one place has a block more."""
    blocks = range(first, first + len(values))
    found = stats.interval(without_start_order(values, blocks))
    mean, half = least_squares(values, blocks)
    assert found.value == pytest.approx(mean, abs=1e-12)
    assert found.high - found.value == pytest.approx(half, abs=1e-9)
    assert found.n == len(values) - 1


@given(values=VALUES, place=st.floats(-1, 1))
def test_the_place_changes_nothing(values, place):
    """However much it does."""
    moved = [v + place * (-1) ** block for block, v in enumerate(values)]
    blocks = range(len(values))
    assert without_start_order(moved, blocks) == pytest.approx(
        without_start_order(values, blocks), abs=1e-9
    )


@given(values=VALUES)
def test_the_other_way_round_only_the_sign_changes(values):
    """Of a case over its reference and back."""
    blocks = range(len(values))
    back = without_start_order([-v for v in values], blocks)
    assert [-v for v in back] == pytest.approx(without_start_order(values, blocks), abs=1e-12)


@pytest.mark.parametrize("blocks", [[], [0], [0, 1], [0, 1, 2], [0, 2, 4, 6]])
def test_few_blocks_and_those_of_one_place_stay_as_they_are(blocks):
    """Of three too little would be left."""
    values = [0.1 * block for block in blocks]
    assert without_start_order(values, blocks) == tuple(values)


def test_intervals_hold_what_is_true_where_the_place_matters():
    """2000 simulated comparisons of six blocks; without it the intervals are twice as wide."""
    rng, held, wide = random.Random(1), 0, []
    for _ in range(2000):
        values = [rng.gauss(0.1, 0.01) + 0.02 * (-1) ** block for block in range(6)]
        found = stats.interval(without_start_order(values, range(6)))
        held += found.low <= 0.1 <= found.high
        raw = stats.interval(values)
        wide.append((raw.high - raw.low) / (found.high - found.low))
    assert abs(held / 2000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)
    assert sorted(wide)[1000] > 1.8
