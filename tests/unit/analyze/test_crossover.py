"""When a GPU pays: the batch size, and how much training."""

import dataclasses
import math
import random

import pytest
from fakes import FakeGpu, FakeLauncher, runner_of
from hypothesis import given
from hypothesis import strategies as st

from harness.analyze import stats
from harness.analyze.devices import crossover
from harness.records import Case, Estimate


def about(value, spread=1.1):
    return Estimate(value, value / spread, value * spread, 6)


def test_the_crossing_lies_between_the_sizes_around_it():
    """0.5 at 16 and 2 at 64: 32 in the middle of the logarithms."""
    found = crossover.batch_size([(16, about(0.5)), (64, about(2.0)), (256, about(8.0))])
    assert found.value == pytest.approx(32.0)
    assert found.low < 32 < found.high
    assert found.low == pytest.approx(32 / 1.1, rel=1e-6)
    assert found.reason == ""


@pytest.mark.parametrize(
    ("speedups", "reason"),
    [
        ([3.0, 5.0], "the GPU is faster at every size measured (16 to 64)"),
        ([0.3, 0.5], "the GPU is slower at every size measured (16 to 64)"),
        ([3.0, 0.5], "the GPU is faster at the smaller sizes only (16 to 64)"),
    ],
)
def test_without_a_crossing_there_is_no_value_but_a_reason(speedups, reason):
    """Not within the sizes measured."""
    points = [(size, about(value)) for size, value in zip((16, 64), speedups, strict=True)]
    found = crossover.batch_size(points)
    assert (found.value, found.low, found.high, found.reason) == (None, None, None, reason)


def test_a_difference_that_is_not_shown_is_not_claimed():
    """The interval of one size holds 1."""
    found = crossover.batch_size([(16, about(1.05)), (64, about(3.0))])
    assert found.reason == "not shown that the GPU is faster at every size measured (16 to 64)"


def test_an_end_of_the_interval_beyond_the_sizes_is_open():
    """The lower ends of the speedups never reach 1."""
    found = crossover.batch_size([(16, about(0.5)), (64, about(1.05))])
    assert found.value is not None
    assert found.high is None
    assert "an end is not within 16 to 64" in found.reason


def test_one_block_a_size_gives_no_interval():
    """A value without doubt would be a lie."""
    alone = [(16, Estimate(0.5, None, None, 1)), (64, Estimate(2.0, None, None, 1))]
    found = crossover.batch_size(alone)
    assert (found.low, found.high, found.reason) == (None, None, "no interval: too few blocks")


def measured(folder, gpu_step, cpu_step, ready, blocks=6):
    """A GPU against a CPU, with steps of so many seconds and starts by (role, block)."""
    gpu = Case("baseline", "mnist", 100, device="gpu", threads=1)
    cpu = dataclasses.replace(gpu, device="cpu")
    launcher = FakeLauncher(lambda c: (gpu_step if c.device == "gpu" else cpu_step) / 100)
    runner = runner_of(folder, launcher, gpu=FakeGpu(), blocks=blocks)
    outcome = runner.measure(gpu, cpu)
    starts = tuple(
        dataclasses.replace(start, ready_seconds=ready(start.role, start.block))
        for start in outcome.starts
    )
    return dataclasses.replace(outcome, starts=starts)


def test_a_slow_start_is_made_up_for_by_faster_steps(tmp_path):
    """3 s later ready, 0.1 s gained a step of 100 samples: 30 steps, 3000 samples."""
    outcome = measured(tmp_path, 0.1, 0.2, lambda role, block: 4.0 if role == "case" else 1.0)
    found = crossover.break_even_samples(outcome)
    assert found.value == pytest.approx(3000.0)
    assert (found.low, found.high) == pytest.approx((3000.0, 3000.0))


def test_slower_steps_never_pay(tmp_path):
    """Whatever the start was."""
    outcome = measured(tmp_path, 0.2, 0.1, lambda role, block: 1.0)
    assert crossover.break_even_samples(outcome).reason == "never: its steps are not faster"


def test_who_is_ready_first_and_faster_has_paid_at_once(tmp_path):
    """From the first step."""
    outcome = measured(tmp_path, 0.1, 0.2, lambda role, block: 0.5 if role == "case" else 1.0)
    found = crossover.break_even_samples(outcome)
    assert found.value == 0.0
    assert found.reason.startswith("from the first step")


def test_steps_that_are_not_told_apart_have_no_interval(tmp_path):
    """A gain that may be 0 is never made up for, or at once."""
    outcome = measured(tmp_path, 0.1, 0.1 + 1e-12, lambda role, block: 4.0 if role == "case" else 1)
    noisy = tuple(
        dataclasses.replace(r, seconds=r.seconds * (1 + 0.1 * ((r.block + len(r.role)) % 3)))
        for r in outcome.rounds
    )
    found = crossover.break_even_samples(dataclasses.replace(outcome, rounds=noisy))
    assert (found.low, found.high) == (None, None)
    assert found.reason == "no interval: its steps are not shown to be faster"


@pytest.mark.parametrize("blocks", [1, 2])
def test_too_few_blocks_are_the_reason_where_they_are(tmp_path, blocks):
    """And not that the steps are no faster: they are."""
    outcome = measured(tmp_path, 0.1, 0.2, lambda role, block: 4.0 if role == "case" else 1, blocks)
    found = crossover.break_even_samples(outcome)
    assert found.value == pytest.approx(3000.0)
    assert (found.low, found.high, found.reason) == (None, None, "no interval: too few blocks")


@given(
    st.lists(st.floats(1.0, 1.2), min_size=3, max_size=8),
    st.floats(0.1, 10.0),
)
def test_fiellers_interval_of_an_exact_ratio_is_a_point(denominators, ratio):
    """No noise, no width."""
    numerators = [ratio * value for value in denominators]
    found = stats.ratio_of_means(numerators, denominators)
    assert found.value == pytest.approx(ratio)
    assert (found.low, found.high) == pytest.approx((ratio, ratio), rel=1e-3)


@given(st.floats(0.01, 100.0))
def test_fiellers_interval_scales_with_the_unit(scale):
    """Seconds or milliseconds, it is the same ratio."""
    x, y = [3.0, 3.3, 2.8, 3.1], [1.0, 1.2, 0.9, 1.0]
    plain = stats.ratio_of_means(x, y)
    scaled = stats.ratio_of_means([scale * v for v in x], y)
    assert scaled.low == pytest.approx(scale * plain.low)
    assert scaled.high == pytest.approx(scale * plain.high)


def test_fiellers_interval_covers_the_true_ratio_as_often_as_it_says():
    """95 % of 2000 simulated comparisons with known truth, within the error of the count."""
    rng = random.Random(1)
    held = 0
    for _ in range(2000):
        y = [rng.gauss(1.0, 0.2) for _ in range(6)]
        x = [rng.gauss(3.0, 0.3) for _ in range(6)]
        found = stats.ratio_of_means(x, y)
        held += found.low is not None and found.low <= 3.0 <= found.high
    assert abs(held / 2000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_a_denominator_that_may_be_zero_has_no_interval():
    """No finite one would hold the ratio."""
    found = stats.ratio_of_means([1.0, 2.0, 3.0], [-0.1, 0.1, 0.05])
    assert (found.low, found.high) == (None, None)
