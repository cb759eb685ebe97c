"""Intervals and verdicts from block values. Blocks are independent; rounds are not."""

import bisect
import functools
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from harness.analyze import rounds
from harness.analyze.once import once
from harness.analyze.start_order import without_start_order
from harness.records import Estimate, Fit, Measurement, Role
from harness.records.protocol import FEWEST_BLOCKS


def log_interval(logs: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean of natural logarithms, one per block, on the scale of ratios; see `interval`."""
    return exponential(interval(logs, confidence))


def over_workers(blocks: Iterable[Iterable[float]]) -> Estimate:
    """Geometric mean over blocks and the workers of a block, where there are any."""
    logs = ([math.log(value) for value in block] for block in blocks)
    return log_interval([statistics.fmean(its) for its in logs if its])


def sum_interval(groups: Sequence[Sequence[float]], confidence: float = 0.95) -> Estimate:
    """Sum of the means of independent groups, with Welch's and Satterthwaite's interval.

    The variances of the means add; the degrees of freedom are Satterthwaite's (1946, "An
    approximate distribution of estimates of variance components"). There is no interval if a
    group has fewer than three values. Raises ValueError without a group, or for an empty one.
    """
    return sum_of_means([mean(group) for group in groups], confidence)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of n independent values; its variance is 0 for one, which has no interval."""

    value: float
    variance: float
    n: int
    freedom: float  # degrees of freedom of the variance


def mean(group: Sequence[float]) -> Mean:
    """Return the mean of a group, for `sum_of_means`; raises ValueError for an empty one."""
    if not group:
        raise ValueError("nothing to estimate from")
    n = len(group)
    return Mean(statistics.fmean(group), _variance(group) / n if n > 1 else 0.0, n, n - 1)


def sum_of_means(means: Sequence[Mean], confidence: float = 0.95) -> Estimate:
    """Return what `sum_interval` does, for groups that are in many sums."""
    if not means:
        raise ValueError("nothing to estimate from")
    total, fewest = sum(one.value for one in means), min(one.n for one in means)
    if fewest < FEWEST_BLOCKS:
        return Estimate(total, None, None, fewest, confidence)
    half = spread([(one.variance, one.freedom) for one in means], confidence)
    return Estimate(total, total - half, total + half, fewest, confidence)


def spread(parts: Sequence[tuple[float, float]], confidence: float = 0.95) -> float:
    """Half-width of the interval of a sum of parts, from variance and degrees of freedom of each.

    The parts are independent; see `sum_interval`.
    """
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    # By shares of the variance: squares of tiny variances would be 0.
    freedom = 1 / sum((part / variance) ** 2 / degrees for part, degrees in parts if part)
    return student_t_quantile((1 + confidence) / 2, freedom) * math.sqrt(variance)


def exponential(estimate: Estimate) -> Estimate:
    """Convert an estimate of a logarithm to the scale of ratios."""
    return estimate.mapped(math.exp)


@once
def logs_by_block(measurement: Measurement) -> Mapping[int, float]:
    """Return the logarithm of reference time over case time per sample, by block.

    Where rounds took turns, the 20 % trimmed mean over the turns of the logarithm of a worker of
    the reference less that of the case, and of these the mean over the workers of the reference;
    in protocol 1, the median over pairs. Where one worker ran after the other, rounds have no
    partner: the logarithm of the ratio of medians. Where the two sides get batches in different
    ways, the logarithm of the ratio of sample times of `fit` after its first execution, since
    rounds train on batches in memory.
    """
    if by_fit(measurement):
        return fit_logs(measurement, lambda fit, _: fit.later_sample_seconds)
    value = _turn_log if is_grouped(measurement) else _paired_log
    value = value if measurement.interleaved else _log_of_medians
    return {block: value(measurement, block) for block in rounds.compared_blocks(measurement)}


def is_grouped(measurement: Measurement) -> bool:
    """Return whether the comparison may share workers with others, as from protocol 2 on."""
    return any(start.group_block is not None for start in measurement.starts)


@once
def speedup_logs(measurement: Measurement) -> tuple[float, ...]:
    """Return the values of `logs_by_block` without the start-order effect; see `start_order`."""
    logs = logs_by_block(measurement)
    if is_grouped(measurement):
        return tuple(logs.values())
    return without_start_order([*logs.values()], [*logs])


def speedup(measurement: Measurement) -> Estimate:
    """Return reference time over case time per sample, over blocks; see `speedup_logs`."""
    return log_interval(speedup_logs(measurement), measurement.confidence)


Signed = tuple[Measurement, float]  # a comparison, and the sign of its logarithm in a sum


def by_blocks(signed: Iterable[Signed]) -> list[list[Signed]]:
    """Group comparisons that were measured in the same blocks.

    Such share workers and are not independent of each other, but blocks are.
    """
    groups: dict[object, list[Signed]] = defaultdict(list)
    for one in signed:
        groups[_blocks_of(one[0])].append(one)
    return list(groups.values())


def sums(signed: Iterable[Signed]) -> list[float]:
    """Return the sum of the logarithms of each block, of comparisons of the same blocks."""
    logs = ([sign * log for log in speedup_logs(m)] for m, sign in signed)
    return [math.fsum(block) for block in zip(*logs, strict=True)]


def _blocks_of(m: Measurement) -> object:
    """Tell the blocks of a comparison; its own where it shares none."""
    numbers = dict.fromkeys(start.group_block for start in m.starts)
    return m.key if None in numbers or not numbers else tuple(numbers)


def by_fit(measurement: Measurement) -> bool:
    """Return whether sides get batches in different ways, so that `fit` compares them."""
    return measurement.case.feed != measurement.reference.feed


def fit_logs(measurement: Measurement, time: Callable[[Fit, Role], float]) -> dict[int, float]:
    """Return the logarithm of reference time over case time of `fit`, by block."""
    times: dict[int, dict[Role, float]] = defaultdict(dict)
    for start in measurement.starts:
        if start.fit is not None and start.role != "second":
            times[start.block][start.role] = time(start.fit, start.role)
    paired = ((block, side) for block, side in times.items() if len(side) == 2)
    return {block: math.log(side["reference"] / side["case"]) for block, side in paired}


def _by_pair(measurement: Measurement, role: Role, block: int) -> dict[int, float]:
    """Return seconds per sample by the number of the pair."""
    its, size = rounds.by_worker(measurement)[role, block], measurement.side(role).batch_size
    return {r.pair: r.seconds / r.steps / size for r in its}


def _turn_log(m: Measurement, block: int) -> float:
    """Return the mean over the workers of the reference of the trimmed mean over turns.

    Not the trimmed mean of their mean: noise is skewed, a mean of two workers less so than one
    worker, and trimming would make the case seem faster.
    """
    return statistics.fmean(map(trimmed_mean, turn_logs(m, block)))


def turn_logs(m: Measurement, block: int) -> list[list[float]]:
    """Return the logarithm of reference time over case time per sample, by turn of a block.

    A list for each worker of the reference.
    """
    case = _by_pair(m, "case", block)
    references = (_by_pair(m, role, block) for role in _roles(m, block) if role != "case")
    return [_over_turns(reference, case) for reference in references]


def reference_logs(m: Measurement) -> list[float]:
    """Return the logarithm of one worker of the reference over the other, by block.

    Empty where the reference has no second worker.
    """
    both: set[Role] = {"reference", "second"}
    return [
        trimmed_mean(_over_turns(_by_pair(m, "reference", block), _by_pair(m, "second", block)))
        for block in rounds.compared_blocks(m)
        if both <= _roles(m, block)
    ]


def _roles(m: Measurement, block: int) -> set[Role]:
    return {role for role, number in rounds.by_worker(m) if number == block}


def _over_turns(other: dict[int, float], own: dict[int, float]) -> list[float]:
    """Return the logarithm of the other's time over the own, by turn.

    A worker of slow steps takes part in some turns only. Its round is compared with the mean time
    of what the other did since its last one.
    """
    rarest = min(other, own, key=len)
    above, below = _until(rarest, other), _until(rarest, own)
    return [math.log(above[turn] / below[turn]) for turn in below if turn in above]


def _until(ends: Iterable[int], times: dict[int, float]) -> dict[int, float]:
    """Return the mean time from one of these turns to the next, by the turn that ends it."""
    turns, its = sorted(ends), defaultdict[int, list[float]](list)
    for turn, seconds in times.items():
        if turn <= turns[-1]:
            its[turns[bisect.bisect_left(turns, turn)]].append(seconds)
    return {end: statistics.fmean(found) for end, found in its.items()}


def _paired_log(m: Measurement, block: int) -> float:
    reference, case = _by_pair(m, "reference", block), _by_pair(m, "case", block)
    both = (pair for pair in reference if pair in case)
    return statistics.median(math.log(reference[pair] / case[pair]) for pair in both)


def _log_of_medians(m: Measurement, block: int) -> float:
    reference, case = _by_pair(m, "reference", block), _by_pair(m, "case", block)
    return math.log(statistics.median(reference.values()) / statistics.median(case.values()))


def trimmed_mean(values: Sequence[float], share: float = 0.2) -> float:
    """Return the mean without that share of the smallest and of the largest values."""
    cut = int(share * len(values))
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean with a Student-t interval on n-1 degrees of freedom.

    Fewer than three values have none: with one degree of freedom the interval is some ten times
    as wide as the distance of the values. Raises ValueError without a value.
    """
    if not values:
        raise ValueError("nothing to estimate from")
    n, mean = len(values), statistics.fmean(values)
    if n < FEWEST_BLOCKS:
        return Estimate(mean, None, None, n, confidence)
    half = t_quantile(confidence, n) * math.sqrt(_variance(values) / n)
    return Estimate(mean, mean - half, mean + half, n, confidence)


def _variance(values: Sequence[float]) -> float:
    """Return the sample variance; ten times as fast as `statistics.variance`, which is exact."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def ratio_of_means(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """Ratio of two means, paired by block, with Fieller's interval.

    The interval contains every ratio r for which a t test does not reject that
    numerator - r * denominator is 0 on average (Fieller 1954, "Some problems in interval
    estimation"). There is none where the denominator may be 0: no finite interval would contain
    the ratio. Raises ValueError without a block, or where there are not as many of each.
    """
    x, y, n = statistics.fmean(numerators), statistics.fmean(denominators), len(numerators)
    if len(denominators) != n:
        raise ValueError(f"{n} numerators and {len(denominators)} denominators")
    without = Estimate(x / y if y else math.nan, None, None, n)
    if n < FEWEST_BLOCKS:
        return without
    scale = t_quantile(0.95, n) ** 2 / n
    xx = scale * statistics.variance(numerators)
    yy = scale * statistics.variance(denominators)
    xy = scale * statistics.covariance(numerators, denominators)
    a, b, c = y * y - yy, x * y - xy, x * x - xx
    if a <= 0:
        return without
    root = math.sqrt(max(0.0, b * b - a * c))
    return Estimate(x / y, (b - root) / a, (b + root) / a, n)


def lack_of_fit(errors: Sequence[Sequence[float]], fitted: int) -> float:
    """Return the probability of means as far from a fitted law as these, if the law held.

    The F test of lack of fit: what the means of the groups miss, against what the values of a
    group differ among themselves (Draper and Smith 1998, "Applied regression analysis", section
    2.1). 1 where repeats do not differ and the law holds exactly. Each group has the errors, value
    less law, of repeats; fewer parameters were fitted than there are groups.
    """
    means = [statistics.fmean(group) for group in errors]
    missed = sum(len(group) * mean**2 for group, mean in zip(errors, means, strict=True))
    pure = sum((v - m) ** 2 for group, m in zip(errors, means, strict=True) for v in group)
    above, below = len(errors) - fitted, sum(map(len, errors)) - len(errors)
    if pure <= 1e-18 or below < 1:
        return 1.0 if missed <= 1e-12 else 0.0
    return float(special.fdtrc(above, below, (missed / above) / (pure / below)))


def sign_test(plus: int, minus: int) -> float:
    """Return McNemar's exact p value: a fair coin's probability of a split at least as uneven."""
    if plus + minus == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(plus, minus), plus + minus, 0.5)))


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a probability from hits of n (Clopper and Pearson 1934).

    Raises ValueError without a try, or for more hits than tries.
    """
    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} hits of {n}")
    tail = (1 - 0.95) / 2
    low = float(special.betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def at_most(hits: int, n: int, probability: float) -> float:
    """Return the probability of that many hits of n or fewer."""
    return float(special.bdtr(hits, n, probability))


def t_quantile(confidence: float, n: int) -> float:
    """Return the half-width of the interval of a mean of n values, in standard errors."""
    return student_t_quantile((1 + confidence) / 2, n - 1)


def log_of_variance(freedom: float) -> tuple[float, float]:
    """Return mean and variance of the log of a sample variance over the true one.

    A sample variance of d degrees of freedom is chi-squared over d.
    """
    half = freedom / 2
    return float(special.digamma(half)) - math.log(half), float(special.polygamma(1, half))


def student_t_tail(t: float, freedom: float) -> float:
    """Return the probability that Student's t exceeds a value."""
    return float(special.stdtr(freedom, -t))


@functools.lru_cache
def student_t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution."""
    return float(special.stdtrit(freedom, probability))
