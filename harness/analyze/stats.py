"""Intervals and verdicts from block values. Blocks are independent; rounds are not."""

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from harness.analyze import rounds
from harness.analyze.once import once
from harness.analyze.start_order import without_start_order
from harness.records import Case, Estimate, Measurement, Round

_FEWEST = 3


def log_interval(logs: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of logarithms with a Student-t interval, on the scale of ratios; see `interval`.

    Args:
        logs: One natural logarithm per block.
        confidence: Of the interval.

    Returns:
        exp(mean) and its interval on n-1 degrees of freedom.

    Raises:
        ValueError: there is no block.
    """
    return exponential(interval(logs, confidence))


def sum_interval(groups: Sequence[Sequence[float]], confidence: float = 0.95) -> Estimate:
    """Sum of the means of independent groups, with Welch's and Satterthwaite's interval.

    The variances of the means add; the degrees of freedom are Satterthwaite's
    (1946, "An approximate distribution of estimates of variance components").
    There is no interval if a group has fewer than three values.

    Raises:
        ValueError: there is no group, or one is empty.
    """
    return sum_of_means([mean(group) for group in groups], confidence)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a group of independent values.

    Attributes:
        variance: Of the mean; 0 for a single value, which has no interval.
        n: Number of values.
    """

    value: float
    variance: float
    n: int


def mean(group: Sequence[float]) -> Mean:
    """Return the mean of a group, for `sum_of_means`.

    Raises:
        ValueError: the group is empty.
    """
    if not group:
        raise ValueError("nothing to estimate from")
    n = len(group)
    return Mean(statistics.fmean(group), _variance(group) / n if n > 1 else 0.0, n)


def sum_of_means(means: Sequence[Mean], confidence: float = 0.95) -> Estimate:
    """Return what `sum_interval` does, for groups that are in many sums.

    Raises:
        ValueError: there is no group.
    """
    if not means:
        raise ValueError("nothing to estimate from")
    total, fewest = sum(one.value for one in means), min(one.n for one in means)
    if fewest < _FEWEST:
        return Estimate(total, None, None, fewest, confidence)
    half = spread([(one.variance, one.n - 1) for one in means], confidence)
    return Estimate(total, total - half, total + half, fewest, confidence)


def spread(parts: Sequence[tuple[float, float]], confidence: float = 0.95) -> float:
    """Half-width of the interval of a sum of independent parts.

    Args:
        parts: Variance and degrees of freedom of each; see `sum_interval`.
        confidence: Of the interval.
    """
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if part)
    return student_t_quantile((1 + confidence) / 2, freedom) * math.sqrt(variance)


def exponential(estimate: Estimate) -> Estimate:
    """Convert an estimate of a logarithm to the scale of ratios."""
    low, high = (None if end is None else math.exp(end) for end in (estimate.low, estimate.high))
    return Estimate(math.exp(estimate.value), low, high, estimate.n, estimate.confidence)


@once
def block_logs(measurement: Measurement) -> tuple[float, ...]:
    """Return the logarithm of reference time over case time per sample, per block.

    Where rounds took turns, the median of ln(reference / case) over the pairs of the block. Where
    one worker ran after the other, rounds have no partner: the logarithm of the ratio of medians.
    Where the two sides get batches in different ways, the logarithm of the ratio of sample times
    of `fit` after its first execution, since rounds train on batches in memory.
    """
    if by_fit(measurement):
        return tuple(fit_logs(measurement).values())
    workers = rounds.by_worker(measurement)
    value = _paired_log if measurement.interleaved else _log_of_medians
    return tuple(
        value(
            _by_pair(workers["reference", block], measurement.reference),
            _by_pair(workers["case", block], measurement.case),
        )
        for block in rounds.compared_blocks(measurement)
    )


@once
def speedup_logs(measurement: Measurement) -> tuple[float, ...]:
    """Return the values of `block_logs` without the start-order effect; see `start_order`."""
    blocks = (
        [*fit_logs(measurement)] if by_fit(measurement) else rounds.compared_blocks(measurement)
    )
    return without_start_order(block_logs(measurement), blocks)


def by_fit(measurement: Measurement) -> bool:
    """Return whether sides get batches in different ways, so that `fit` compares them."""
    return measurement.case.feed != measurement.reference.feed


def fit_logs(measurement: Measurement) -> dict[int, float]:
    """Return the logarithm of reference time over case time per sample of `fit`, by block."""
    times: dict[int, dict[str, float]] = {}
    for start in measurement.starts:
        if start.fit is not None:
            times.setdefault(start.block, {})[start.role] = start.fit.later_sample_seconds
    return {
        block: math.log(side["reference"] / side["case"])
        for block, side in times.items()
        if len(side) == 2
    }


def _by_pair(its: Iterable[Round], case: Case) -> dict[int, float]:
    """Return seconds per sample by the number of the pair."""
    return {r.pair: r.seconds / r.steps / case.batch_size for r in its}


def speedup(measurement: Measurement) -> Estimate:
    """Return reference time over case time per sample, over blocks; see `speedup_logs`."""
    return log_interval(speedup_logs(measurement))


def _paired_log(reference: Mapping[int, float], case: Mapping[int, float]) -> float:
    return statistics.median(
        math.log(reference[pair] / case[pair]) for pair in reference if pair in case
    )


def _log_of_medians(reference: Mapping[int, float], case: Mapping[int, float]) -> float:
    return math.log(statistics.median(reference.values()) / statistics.median(case.values()))


def interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean with a Student-t interval on n-1 degrees of freedom.

    Fewer than three values have none: with one degree of freedom the interval is some ten times
    as wide as the distance of the values.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("nothing to estimate from")
    n, mean = len(values), statistics.fmean(values)
    if n < _FEWEST:
        return Estimate(mean, None, None, n, confidence)
    half = t_quantile(confidence, n) * math.sqrt(_variance(values) / n)
    return Estimate(mean, mean - half, mean + half, n, confidence)


def _variance(values: Sequence[float]) -> float:
    """Return the sample variance; ten times as fast as `statistics.variance`, which is exact."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def ratio_of_means(
    numerators: Sequence[float], denominators: Sequence[float], confidence: float = 0.95
) -> Estimate:
    """Ratio of two paired means with Fieller's interval.

    The interval contains every ratio r for which a t test does not reject that
    numerator - r * denominator is 0 on average (Fieller 1954, "Some problems in interval
    estimation"). There is none where the denominator may be 0: no finite interval would contain
    the ratio.

    Args:
        numerators: One per block.
        denominators: One per block, in the same order.
        confidence: Of the interval.

    Raises:
        ValueError: there is no block, or not as many of each.
    """
    x, y, n = statistics.fmean(numerators), statistics.fmean(denominators), len(numerators)
    if len(denominators) != n:
        raise ValueError(f"{n} numerators and {len(denominators)} denominators")
    if n < _FEWEST:
        return Estimate(x / y if y else math.nan, None, None, n, confidence)
    scale = t_quantile(confidence, n) ** 2 / n
    xx = scale * statistics.variance(numerators)
    yy = scale * statistics.variance(denominators)
    xy = scale * statistics.covariance(numerators, denominators)
    a, b, c = y * y - yy, x * y - xy, x * x - xx
    if a <= 0:
        return Estimate(x / y if y else math.nan, None, None, n, confidence)
    root = math.sqrt(max(0.0, b * b - a * c))
    return Estimate(x / y, (b - root) / a, (b + root) / a, n, confidence)


def lack_of_fit(errors: Sequence[Sequence[float]], fitted: int) -> float:
    """Return the probability of means as far from a fitted law as these, if the law held.

    The F test of lack of fit: what the means of the groups miss, against what the values of a
    group differ among themselves (Draper and Smith 1998, "Applied regression analysis", section
    2.1).

    Args:
        errors: Value less law, one group of repeats each.
        fitted: Parameters that were fitted; fewer than there are groups.

    Returns:
        The p value; 1 where repeats do not differ and the law holds exactly.
    """
    means = [statistics.fmean(group) for group in errors]
    missed = sum(len(group) * mean**2 for group, mean in zip(errors, means, strict=True))
    pure = sum((v - m) ** 2 for group, m in zip(errors, means, strict=True) for v in group)
    above, below = len(errors) - fitted, sum(map(len, errors)) - len(errors)
    if pure <= 1e-18 or below < 1:
        return 1.0 if missed <= 1e-12 else 0.0
    return float(special.fdtrc(above, below, (missed / above) / (pure / below)))


def sign_test(plus: int, minus: int) -> float:
    """Return the probability of a split at least as uneven of a fair coin: McNemar's exact test.

    Args:
        plus: Samples that only one side gets right.
        minus: Samples that only the other side gets right.
    """
    if plus + minus == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(plus, minus), plus + minus, 0.5)))


def share_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a probability from hits of n (Clopper and Pearson 1934).

    Raises:
        ValueError: there was no try, or there are more hits than tries.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} hits of {n}")
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def at_most(hits: int, n: int, probability: float) -> float:
    """Return the probability of that many hits of n or fewer."""
    return float(special.bdtr(hits, n, probability))


def t_quantile(confidence: float, n: int) -> float:
    """Return the half-width of the interval of a mean of n values, in standard errors."""
    return student_t_quantile((1 + confidence) / 2, n - 1)


@functools.lru_cache
def student_t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution."""
    return float(special.stdtrit(freedom, probability))
