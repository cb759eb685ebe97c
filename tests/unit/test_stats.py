"""Statistics of pairs: exact cases and properties."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyze import stats
from harness.records import Estimate

LOGS = st.lists(st.floats(-1, 1), min_size=3, max_size=12)


def test_equal_durations_give_exactly_one():
    """Blocks without any difference leave no doubt."""
    assert Estimate(1.0, 1.0, 1.0, 6) == stats.log_interval([0.0] * 6)


@pytest.mark.parametrize("blocks", [1, 2])
def test_few_blocks_have_no_interval(blocks):
    """An interval needs at least three."""
    found = stats.log_interval([math.log(2.0)] * blocks)
    assert found == Estimate(pytest.approx(2.0), None, None, blocks)


def test_no_block_is_refused():
    """There is nothing to estimate from."""
    with pytest.raises(ValueError, match="nothing to estimate"):
        stats.log_interval([])


@given(LOGS)
def test_order_of_blocks_changes_nothing(logs):
    """The estimate depends on the values alone."""
    forward, backward = stats.log_interval(logs), stats.log_interval(logs[::-1])
    assert forward.value == pytest.approx(backward.value)
    assert forward.low == pytest.approx(backward.low)


@given(LOGS, st.floats(-1, 1))
def test_scaling_time_scales_the_interval(logs, shift):
    """A factor on every block is a factor on value and ends."""
    plain, scaled = stats.log_interval(logs), stats.log_interval([x + shift for x in logs])
    assert scaled.low == pytest.approx(plain.low * math.exp(shift), rel=1e-6)
    assert scaled.high == pytest.approx(plain.high * math.exp(shift), rel=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.03, 1.10, "faster"),
        (0.90, 0.97, "slower"),
        (0.99, 1.01, "same"),
        (0.99, 1.03, "inconclusive"),
        (None, None, "inconclusive"),
    ],
)
def test_the_interval_decides_the_verdict(low, high, expected):
    """The value alone decides nothing."""
    assert expected == stats.verdict(Estimate(1.05, low, high, 6))


def test_an_effect_of_the_visible_size_is_shown_by_four_of_five_runs():
    """2000 simulated runs of six blocks; each finds its own size from its own interval."""
    rng = random.Random(2)
    sigma = 0.02
    visible = []
    for _ in range(2000):
        found = stats.log_interval([rng.gauss(0.0, sigma) for _ in range(6)])
        visible.append(stats.smallest_visible(found))
    effect = math.log(1 + statistics.median(visible))
    shown = 0
    for _ in range(2000):
        found = stats.log_interval([rng.gauss(effect, sigma) for _ in range(6)])
        shown += stats.verdict(found) == "faster"
    assert abs(shown / 2000 - 0.8) < 0.08
