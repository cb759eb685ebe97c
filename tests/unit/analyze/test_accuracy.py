"""Differences of accuracy: intervals against simulation, McNemar's test, verdicts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as distributions

from harness.analyze.training import accuracy
from harness.records import Estimate


def test_the_difference_is_in_shares_of_the_test_set():
    """20 samples right that the other gets wrong, 5 the other way round."""
    found = accuracy.difference([range(15)], [range(10, 40)], 1000)
    assert found.estimate.value == pytest.approx((25 - 10) / 1000)
    assert (found.only_case_right, found.only_reference_right) == (25, 10)


def test_one_seed_has_the_p_value_of_mcnemars_exact_test():
    """Of the discordant samples alone."""
    found = accuracy.difference([range(15)], [range(10, 40)], 1000)
    assert found.p_value == pytest.approx(distributions.binomtest(25, 35).pvalue)


def test_one_seed_has_the_interval_of_paired_proportions():
    """sqrt(b + c - (b - c)² / n) / n, with the unbiased variance."""
    found = accuracy.difference([range(15)], [range(10, 40)], 1000).estimate
    error = np.sqrt((35 - 15**2 / 1000) / 999 / 1000)
    half = distributions.t.ppf(0.975, 999) * error
    assert (found.low, found.high) == pytest.approx((0.015 - half, 0.015 + half))


def test_equal_mistakes_are_no_difference():
    """Without any width."""
    found = accuracy.difference([range(9)] * 3, [range(9)] * 3, 1000)
    assert (found.estimate.low, found.estimate.value, found.estimate.high) == (0, 0, 0)
    assert accuracy.verdict(found.estimate, 1000) == "same"


@given(
    st.lists(st.sets(st.integers(0, 49), max_size=9), min_size=3, max_size=5),
    st.lists(st.sets(st.integers(0, 49), max_size=9), min_size=5, max_size=5),
)
def test_the_other_way_round_changes_the_sign_alone(mine, others):
    """Whoever is the reference."""
    others = others[: len(mine)]
    one = accuracy.difference(mine, others, 50).estimate
    other = accuracy.difference(others, mine, 50).estimate
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


@pytest.mark.parametrize("seed_spread", [0.0, 0.0007, 0.0015])
def test_the_interval_of_three_seeds_holds_what_is_true(seed_spread):
    """In at least 93 % of simulated comparisons of variants that are equally good."""
    rng = np.random.default_rng(5)
    samples, tries, held = 4000, 400, 0
    for _ in range(tries):
        draws = [_simulated(rng, samples, seed_spread) for _ in range(3)]
        found = accuracy.difference(*zip(*draws, strict=True), samples).estimate
        held += found.low <= 0 <= found.high
    assert held / tries >= 0.93


def _simulated(rng, samples, seed_spread):
    """What two equally good variants get wrong alone, with a shift of this seed."""
    shift = rng.normal(0, seed_spread)
    draw = rng.random(samples)
    return np.flatnonzero(draw < 0.005 + shift / 2), np.flatnonzero(draw > 0.995 + shift / 2)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.0009, 0.0009, "same"),
        (0.0001, 0.0009, "same"),
        (0.0001, 0.003, "better"),
        (-0.003, -0.0001, "worse"),
        (-0.003, 0.001, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_verdicts(low, high, verdict):
    """Within the margin, on one side of 0, or neither."""
    assert accuracy.verdict(Estimate(0.0, low, high, 3), 10_000) == verdict


def test_a_test_set_that_is_coarser_than_the_margin_shows_no_equality():
    """One of a hundred samples is a point."""
    assert accuracy.verdict(Estimate(0.0, 0.0, 0.0, 3), 100) == "undecided"


def test_seeds_must_pair():
    """Two against one cannot."""
    with pytest.raises(ValueError, match="2 and 1 seeds"):
        accuracy.difference([[], []], [[]], 10)
