"""Statistics of pairs: exact cases and properties."""

import dataclasses
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyze import stats, verdicts
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
        (0.99, 1.03, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_the_interval_decides_the_verdict(low, high, expected):
    """The value alone decides nothing."""
    assert expected == verdicts.verdict(Estimate(1.05, low, high, 6))


def test_an_effect_of_the_visible_size_is_shown_by_four_of_five_runs():
    """2000 simulated runs of six blocks; each finds its own size from its own interval."""
    rng = random.Random(2)
    sigma = 0.02
    visible = []
    for _ in range(2000):
        found = stats.log_interval([rng.gauss(0.0, sigma) for _ in range(6)])
        visible.append(verdicts.smallest_visible(found, found.n - 1))
    effect = math.log(1 + statistics.median(visible))
    shown = 0
    for _ in range(2000):
        found = stats.log_interval([rng.gauss(effect, sigma) for _ in range(6)])
        shown += verdicts.verdict(found) == "faster"
    assert abs(shown / 2000 - 0.8) < 0.08


@pytest.mark.parametrize(("n", "expected"), [(3, 4.302653), (6, 2.570582), (30, 2.045230)])
def test_quantiles_are_students(n, expected):
    """As printed in any table of t."""
    assert stats.t_quantile(0.95, n) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("plus", "minus", "expected"), [(0, 0, 1.0), (5, 0, 2 / 32), (1, 4, 12 / 32), (3, 3, 1.0)]
)
def test_the_sign_test_counts_the_tosses_of_a_coin(plus, minus, expected):
    """Both tails."""
    assert stats.sign_test(plus, minus) == pytest.approx(expected)


def test_lack_of_fit_is_the_f_test():
    """F = 4 on 1 and 4 degrees of freedom: both groups miss the law by 1."""
    errors = [[0.5, 1.0, 1.5], [-1.5, -1.0, -0.5]]
    missed, pure = 6.0, 1.0
    f = missed / (pure / 4)
    # F with one degree of freedom above is the square of t with those below.
    assert stats.lack_of_fit(errors, 1) == pytest.approx(2 * (1 - student_cdf_4(math.sqrt(f))))


def student_cdf_4(t):
    """Student's distribution on four degrees of freedom, in closed form."""
    x = t / math.sqrt(4 + t * t)
    return 0.5 + 0.75 * (x - x**3 / 3)


@given(LOGS)
def test_the_interval_is_that_of_the_exact_variance(logs):
    """Summed so that nothing is lost."""
    half = stats.t_quantile(0.95, len(logs)) * statistics.stdev(logs) / math.sqrt(len(logs))
    found = stats.interval(logs)
    assert found.high - found.low == pytest.approx(2 * half, abs=1e-12)


def test_an_estimate_in_another_unit_keeps_its_interval():
    """And a missing one stays missing."""
    seconds = Estimate(2.0, 1.0, 3.0, 6)
    assert Estimate(2000.0, 1000.0, 3000.0, 6) == seconds.times(1e3)
    alone = dataclasses.replace(seconds, low=None, high=None)
    assert (alone.times(1e3).low, alone.times(1e3).high) == (None, None)


def test_an_interval_of_tiny_variances_has_a_width():
    """The square of each is 0 to a computer."""
    assert stats.spread([(1e-200, 3), (1e-200, 3)]) > 0
