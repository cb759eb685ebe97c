"""The statistics of pairs, whatever the rounds: properties, and simulations of known truth."""

import dataclasses
import itertools
import math
import random

import pandas as pd
import pytest
from fakes import FakeLauncher, runner_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import dataframe

from harness.analyze import stats
from harness.records import Case, Round

CASE, REFERENCE = Case("baseline", "synthetic", 1024), Case("baseline", "synthetic", 256)
SECONDS = st.floats(1e-4, 1e3)
PAIRS = st.lists(  # blocks of pairs of seconds
    st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=5), min_size=1, max_size=6
)
QUICKLY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of three comparisons by fake workers."""
    runner = runner_of(tmp_path_factory.mktemp("run"), FakeLauncher())
    for case in (REFERENCE, CASE, Case("improved", "synthetic", 256)):
        runner.measure(case, REFERENCE)
    runner.close()
    return runner.run()


@pytest.fixture(scope="module")
def plain(run):
    """One comparison, whose rounds are to be replaced."""
    return run.outcomes[1]


def a_round(role, block, pair, seconds, steps=4):
    return Round(block, pair, role, 0, steps, seconds, 1.0)


def of(plain, blocks):
    """The comparison with rounds of these seconds: (reference, case) by block and pair."""
    rounds = [
        a_round(role, b, p, seconds)
        for b, pairs in enumerate(blocks)
        for p, both in enumerate(pairs)
        for role, seconds in zip(("reference", "case"), both, strict=True)
    ]
    return dataclasses.replace(plain, rounds=tuple(rounds))


def near(one, other, factor=1.0):
    """Whether an estimate is another times a factor, ends included."""
    for a, b in ((one.value, other.value), (one.low, other.low), (one.high, other.high)):
        assert (a is None) == (b is None)
        assert a is None or math.isclose(a, b * factor, rel_tol=1e-9)
    return True


@given(PAIRS)
@QUICKLY
def test_the_order_of_rounds_changes_nothing(plain, blocks):
    """Only which pair and block they belong to."""
    measured = of(plain, blocks)
    turned = dataclasses.replace(measured, rounds=measured.rounds[::-1])
    assert near(stats.speedup(turned), stats.speedup(measured))


@given(PAIRS, st.floats(1e-3, 1e3))
@QUICKLY
def test_a_faster_clock_changes_no_speedup(plain, blocks, factor):
    """Both sides' times are scaled alike."""
    scaled = [[(r * factor, c * factor) for r, c in pairs] for pairs in blocks]
    assert near(stats.speedup(of(plain, scaled)), stats.speedup(of(plain, blocks)))


@given(PAIRS, st.floats(0.1, 10))
@QUICKLY
def test_a_case_that_takes_longer_is_slower_by_that(plain, blocks, factor):
    """Value and both ends."""
    slower = [[(r, c * factor) for r, c in pairs] for pairs in blocks]
    assert near(stats.speedup(of(plain, slower)), stats.speedup(of(plain, blocks)), 1 / factor)


@given(PAIRS)
@QUICKLY
def test_sides_that_change_places_give_the_inverse(plain, blocks):
    """With the ends exchanged; batch sizes are per sample."""
    ratio = CASE.batch_size / REFERENCE.batch_size
    there = stats.speedup(of(plain, blocks))
    back = stats.speedup(of(plain, [[(c, r) for r, c in pairs] for pairs in blocks]))
    assert math.isclose(back.value * there.value, ratio**2, rel_tol=1e-9)
    if there.low is not None:
        assert math.isclose(back.low * there.high, ratio**2, rel_tol=1e-9)


@given(st.integers(1, 6), st.integers(1, 5), SECONDS)
@QUICKLY
def test_equal_durations_leave_no_doubt(plain, blocks, pairs, seconds):
    """Four times as many samples in the same time, exactly."""
    found = stats.speedup(of(plain, [[(seconds, seconds)] * pairs] * blocks))
    assert math.isclose(found.value, 4.0, rel_tol=1e-12)
    if blocks < 3:
        assert (found.low, found.high) == (None, None)
    else:
        assert math.isclose(found.low, found.high, rel_tol=1e-12)


@given(PAIRS, st.data())
@QUICKLY
def test_a_turn_that_was_cut_counts_nothing(plain, blocks, data):
    """The case had no round after the reference's last one; the other turns stand."""
    blocks = [pairs for pairs in blocks if len(pairs) > 1]
    if not blocks:
        return
    measured = of(plain, blocks)
    block = data.draw(st.integers(0, len(blocks) - 1))
    pair = len(blocks[block]) - 1
    without = tuple(
        r for r in measured.rounds if (r.block, r.pair, r.role) != (block, pair, "case")
    )
    fewer = [
        [both for p, both in enumerate(pairs) if (b, p) != (block, pair)]
        for b, pairs in enumerate(blocks)
    ]
    found = stats.speedup(dataclasses.replace(measured, rounds=without))
    assert near(found, stats.speedup(of(plain, fewer)))


def test_a_block_without_one_of_its_sides_counts_nothing(plain):
    """The others stand."""
    blocks = [[(1.0, 2.0)], [(1.0, 2.1)], [(1.0, 1.9)]]
    extra = a_round("case", 3, 0, 50.0)
    measured = of(plain, blocks)
    more = dataclasses.replace(measured, rounds=(*measured.rounds, extra))
    assert stats.speedup(measured) == stats.speedup(more)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_comparisons_changes_no_number(run, order):
    """In no row of any table."""
    turned = dataclasses.replace(run, outcomes=tuple(run.outcomes[i] for i in order))
    for name in ("batch_size_speedup", "model_size_speedup"):
        frames = [
            dataframe(one, name).sort_values(["variant", "batch_size"], ignore_index=True)
            for one in (run, turned)
        ]
        pd.testing.assert_frame_equal(*frames)
    frames = [
        dataframe(one, "measurements").sort_values("case", ignore_index=True)
        for one in (run, turned)
    ]
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("normal", lambda rng: rng.gauss(0, 0.02)),
        ("uniform", lambda rng: rng.uniform(-0.03, 0.03)),
        ("now and then far off", lambda rng: rng.gauss(0, 0.1 if rng.random() < 0.1 else 0.02)),
    ],
)
@pytest.mark.parametrize("blocks", [3, 6, 12])
def test_intervals_hold_the_truth_as_often_as_they_say(plain, name, draw, blocks):
    """Blocks that scatter around a known ratio, and rounds within them; 95 % of 1500."""
    rng = random.Random(blocks)
    held = 0
    for _ in range(1500):
        logs = [
            [
                (math.exp(block + rng.gauss(0, 0.03)), 1.0)
                for _ in range(3)
            ]
            for block in (draw(rng) for _ in range(blocks))
        ]  # fmt: skip
        found = stats.speedup(of(plain, logs))
        held += found.low <= 4.0 <= found.high
    assert 0.93 <= held / 1500 <= 0.985, name


def test_a_round_of_slow_steps_is_compared_with_all_that_ran_since_the_last_one(plain):
    """Turns 1 and 3 of four: each with the mean time of two rounds of the reference."""
    reference = [a_round("reference", 0, turn, s) for turn, s in enumerate((1.0, 3.0, 5.0, 7.0))]
    case = [a_round("case", 0, turn, seconds) for turn, seconds in ((1, 4.0), (3, 6.0))]
    slow = dataclasses.replace(plain, rounds=(*reference, *case))
    larger = CASE.batch_size / REFERENCE.batch_size
    expected = math.log(larger * 2.0 / 4.0) / 2 + math.log(larger * 6.0 / 6.0) / 2
    assert stats.logs_by_block(slow)[0] == pytest.approx(expected)


def test_so_is_a_round_of_a_slow_reference(plain):
    """The same times with the sides exchanged are the opposite."""
    rounds = [a_round("case", 0, turn, s) for turn, s in enumerate((1.0, 3.0, 5.0, 7.0))]
    rounds += [a_round("reference", 0, turn, seconds) for turn, seconds in ((1, 4.0), (3, 6.0))]
    slow = dataclasses.replace(plain, rounds=tuple(rounds))
    larger = CASE.batch_size / REFERENCE.batch_size
    expected = math.log(larger * 4.0 / 2.0) / 2 + math.log(larger * 6.0 / 6.0) / 2
    assert stats.logs_by_block(slow)[0] == pytest.approx(expected)
