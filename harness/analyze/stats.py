"""Intervals and verdicts from block values. Blocks are independent; rounds are not."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from scipy import stats

from harness.records import Estimate, Measurement, Round

Verdict = Literal["faster", "slower", "same", "inconclusive"]
MARGIN = 0.02


def log_interval(logs: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of logarithms with a Student-t interval, on the scale of ratios.

    Args:
        logs: One natural logarithm a block.
        confidence: Of the interval.

    Returns:
        exp(mean) and its interval on n-1 degrees of freedom; no interval for
        fewer than two blocks.

    Raises:
        ValueError: there is no block.
    """
    if not logs:
        raise ValueError("no block to estimate from")
    n = len(logs)
    mean = statistics.fmean(logs)
    if n < 2:
        return Estimate(math.exp(mean), None, None, n, confidence)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * statistics.stdev(logs) / math.sqrt(n)
    return Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half), n, confidence)


def speedup(measurement: Measurement) -> Estimate:
    """Reference time over case time per sample, from pairs, over blocks.

    Block value: the median over its pairs of ln(reference / case).
    """
    sizes = {
        "case": measurement.case.batch_size,
        "reference": measurement.reference.batch_size,
    }
    pairs: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for a_round in measurement.rounds:
        per_sample = a_round.seconds / a_round.steps / sizes[a_round.role]
        pairs[a_round.block, a_round.pair][a_round.role] = per_sample
    blocks: dict[int, list[float]] = defaultdict(list)
    for (block, _), sides in pairs.items():
        if len(sides) == 2:
            blocks[block].append(math.log(sides["reference"] / sides["case"]))
    return log_interval([statistics.median(values) for values in blocks.values()])


def step_seconds(blocks: Iterable[Sequence[Round]]) -> Estimate:
    """Seconds a step: median over a block's rounds, then an interval over blocks."""
    return log_interval(
        [math.log(statistics.median(r.seconds / r.steps for r in rounds)) for rounds in blocks]
    )


def verdict(estimate: Estimate, margin: float = MARGIN) -> Verdict:
    """Judge a speedup against a margin; the interval decides, not the value."""
    if estimate.low is None or estimate.high is None:
        return "inconclusive"
    if estimate.low > 1 + margin:
        return "faster"
    if estimate.high < 1 / (1 + margin):
        return "slower"
    if estimate.low >= 1 / (1 + margin) and estimate.high <= 1 + margin:
        return "same"
    return "inconclusive"


def smallest_visible(estimate: Estimate) -> float | None:
    """Smallest effect that this interval could have shown: its half-width plus the margin."""
    if estimate.low is None or estimate.high is None:
        return None
    return math.sqrt(estimate.high / estimate.low) * (1 + MARGIN) - 1
