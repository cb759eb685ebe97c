"""Moderated variance: exact values and properties."""

import dataclasses
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import case, measured
from scipy import special

from harness.analyze import moderation, stats
from harness.analyze.moderation import Prior, Speedups
from harness.analyze.stats import Mean

VARIANCE = st.floats(1e-8, 1e-2)


def runs(scatter, comparisons=20, blocks=6, seed=1):
    """Means of a run whose comparisons have these standard deviations in turn."""
    draw = random.Random(seed)
    return [
        stats.mean([draw.gauss(0, scatter[number % len(scatter)]) for _ in range(blocks)])
        for number in range(comparisons)
    ]


def test_fewer_than_eight_comparisons_have_no_prior():
    """Seven variances do not tell how much variances differ."""
    assert moderation.prior(runs([0.01], comparisons=7)) is None
    assert moderation.prior(runs([0.01], comparisons=8)) is not None


def test_comparisons_without_scatter_do_not_count():
    """Rounds of equal durations say nothing about the others."""
    still = [stats.mean([0.0] * 6)] * 8
    assert moderation.prior(still) is None
    found, alone = moderation.prior([*runs([0.01]), *still]), moderation.prior(runs([0.01]))
    assert alone == found


def test_a_single_block_does_not_count():
    """One value has no variance."""
    assert moderation.prior([stats.mean([0.1])] * 20) is None


def test_equal_scatter_gives_the_cap():
    """Where no comparison scatters more than chance, the prior is worth half of 20 degrees."""
    found = moderation.prior(runs([0.01], comparisons=200))
    assert found.freedom == moderation.MOST_FREEDOM / 2
    assert math.sqrt(found.variance) == pytest.approx(0.01, rel=0.1)


def test_unequal_scatter_gives_less():
    """Where some scatter ten times as much, little is known of the next one."""
    assert moderation.prior(runs([0.01, 0.1], comparisons=200)).freedom < 1.0


def test_the_freedom_solves_its_equation():
    """Half of the d0 whose trigamma is what the logarithms scatter beyond chance."""
    means = runs([0.01, 0.02], comparisons=100)
    logs = [math.log(m.variance * m.n) for m in means]
    average = sum(logs) / 100
    scatter = sum((log - average) ** 2 for log in logs) / 99
    beyond = scatter - special.polygamma(1, 5 / 2)
    found = special.polygamma(1, moderation.prior(means).freedom)  # d0/2 is the halved d0
    assert found == pytest.approx(beyond, rel=0.01)


@given(VARIANCE, VARIANCE, st.integers(2, 12), st.floats(0.1, 10))
def test_a_moderated_variance_lies_between_both(own, prior, n, freedom):
    """It is a weighted mean, and worth the sum of the degrees of freedom."""
    found = Prior(prior, freedom).moderate(Mean(0.3, own / n, n, n - 1))
    low, high = sorted((own, prior))
    assert low * (1 - 1e-9) <= found.variance * n <= high * (1 + 1e-9)
    assert found.freedom == n - 1 + freedom
    assert (found.value, found.n) == (0.3, n)


@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_the_unit_of_time_does_not_matter(seed, factor):
    """Values that scatter by a factor more give a variance that is larger by its square."""
    means = runs([0.01, 0.015, 0.03], seed=seed)
    scaled = [Mean(m.value, m.variance * factor**2, m.n, m.freedom) for m in means]
    one, other = moderation.prior(means), moderation.prior(scaled)
    assert other.variance == pytest.approx(one.variance * factor**2, rel=1e-6)
    assert other.freedom == pytest.approx(one.freedom, rel=1e-6)


def test_one_block_has_the_interval_that_others_tell_only_where_it_was_screened(tmp_path):
    """Its own scatter is unknown; a block that the time limit left has no interval."""
    (m,) = measured(tmp_path, [(case(batch_size=1024), case())], blocks=1).outcomes
    speedups = Speedups({moderation._way(m): Prior(0.02**2, 5.0)})
    assert speedups.speedup(m).low is None
    found = speedups.speedup(dataclasses.replace(m, ended="screened"))
    assert Speedups().speedup(dataclasses.replace(m, ended="screened")).low is None
    half = 0.02 * special.stdtrit(5.0, 0.975)
    assert (found.n, found.value) == (1, pytest.approx(1.25))
    assert math.log(found.high / found.value) == pytest.approx(half)
    assert math.log(found.value / found.low) == pytest.approx(half)


def with_seconds(m, factor):
    """The comparison with rounds longer by a factor of role and block."""
    rounds = [
        dataclasses.replace(r, seconds=r.seconds * factor.get((r.role, r.block), 1.0))
        for r in m.rounds
    ]
    return dataclasses.replace(m, rounds=tuple(rounds))


def test_two_workers_of_the_reference_tell_how_workers_scatter(tmp_path):
    """A case against the mean of both has three quarters of the variance of their difference."""
    rounds = {"min_pairs": 4, "max_pairs": 4}
    (m,) = measured(tmp_path, [(case(batch_size=1024), case())], blocks=4, **rounds).outcomes
    away = {("second", block): math.exp(0.02 * (-1) ** block) for block in range(4)}
    found = moderation.by_reference(with_seconds(m, away))
    assert (found.variance, found.freedom) == (pytest.approx(0.75 * 0.02**2), 2.0)
    other = dataclasses.replace(m, case=dataclasses.replace(m.case, backend="torch"))
    few = dataclasses.replace(m, pairs=3)
    assert moderation.by_reference(other) is moderation.by_reference(few) is None


def test_a_case_against_itself_is_judged_by_its_own_blocks(tmp_path):
    """Its reference has no second worker."""
    (m,) = measured(tmp_path, [(case(), case())], blocks=4).outcomes
    assert moderation.by_reference(m) is None
    assert Speedups().mean(m) == stats.mean(stats.speedup_logs(m))


def test_two_cases_of_a_group_are_compared_without_their_reference(tmp_path):
    """What happens to the reference alone does not reach their ratio in any block."""
    sizes = [(case(batch_size=size), case()) for size in (1024, 4096)]
    one, other = measured(tmp_path, [*sizes], blocks=4).outcomes
    away = {("reference", block): math.exp(0.1 * block) for block in range(4)}
    alone = [dataclasses.replace(m, starts=_together(m)) for m in (one, other)]
    disturbed = [with_seconds(m, away) for m in alone]
    assert stats.sums(zip(disturbed, [1.0, -1.0], strict=True)) == pytest.approx([0.0] * 4)
    assert Speedups().product(disturbed, [1.0, -1.0]).value == pytest.approx(1.0)


def _together(m):
    """The starts as if both comparisons had been measured in the same blocks."""
    return tuple(dataclasses.replace(s, group_block=s.block) for s in m.starts)
