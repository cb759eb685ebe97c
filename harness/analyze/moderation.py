"""Moderated variance: all comparisons of a run tell how much the blocks of each one scatter.

Six blocks alone estimate their own variance poorly (4 degrees of freedom, t = 2.78), though the
run holds a hundred blocks that scatter alike. So the variance of a comparison is drawn towards
that of all (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments", sections 3 and 6).
"""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.analyze import stats
from harness.analyze.stats import Mean, Signed, log_of_variance
from harness.records import Case, Estimate, Measurement
from harness.records.protocol import FEW

MOST_FREEDOM = 20.0
_FEW_ROUNDS = 4  # per block; the means of fewer scatter more
_LEAST_FREEDOM = 1e-2
_SCATTERS = 1e-12  # relative to the largest variance: a comparison below has no scatter


@dataclass(frozen=True, slots=True)
class Prior:
    """What the other comparisons of a run tell about the variance of one.

    Attributes:
        variance: Of the logarithm of one block.
        freedom: Degrees of freedom that this knowledge is worth.
    """

    variance: float
    freedom: float

    def moderate(self, mean: Mean) -> Mean:
        """Return the mean with its moderated variance: (d·s² + d0·s0²) / (d + d0)."""
        freedom = mean.freedom + self.freedom
        own = mean.freedom * mean.variance
        variance = (own + self.freedom * self.variance / mean.n) / freedom
        return dataclasses.replace(mean, variance=variance, freedom=freedom)


def prior(means: Iterable[Mean]) -> Prior | None:
    """Estimate the prior by the method of moments.

    The logarithm of a variance with d degrees of freedom scatters by trigamma(d/2) around that of
    the true variance. By how much more the logarithms scatter is trigamma(d0/2). The result d0 is
    capped at 20 and halved, so that a few comparisons that happen to scatter alike promise little.

    Args:
        means: One per comparison.

    Returns:
        None for fewer than eight comparisons.
    """
    known = [(mean.variance * mean.n, mean.freedom) for mean in means if mean.freedom > 0]
    largest = max((variance for variance, _ in known), default=0.0)
    known = [(variance, d) for variance, d in known if variance > _SCATTERS * largest]
    if len(known) < FEW:
        return None
    logs = [math.log(variance) - log_of_variance(d)[0] for variance, d in known]
    expected = statistics.fmean(log_of_variance(d)[1] for _, d in known)
    freedom = _freedom(statistics.variance(logs) - expected)
    center = statistics.fmean(logs)
    if math.isfinite(freedom):
        center += log_of_variance(freedom)[0]
    return Prior(math.exp(center), min(freedom, MOST_FREEDOM) / 2)


def _freedom(scatter: float) -> float:
    """Solve trigamma(d0/2) = scatter for d0, to a thousandth; infinite without scatter."""
    if scatter <= 0:
        return math.inf
    low, high = _LEAST_FREEDOM, 1e6
    while high / low > 1.001:  # trigamma falls
        middle = math.sqrt(low * high)
        falls_short = log_of_variance(middle)[1] > scatter
        low, high = (middle, high) if falls_short else (low, middle)
    return math.sqrt(low * high)


def by_reference(m: Measurement) -> Prior | None:
    """Return what the two workers of a reference tell about the scatter of its comparison.

    Both are the same case in the same block, so that the logarithm of one over the other is 0 but
    for their scatter, which has twice the variance of one worker; a case against the mean of both
    has one and a half times that. As with the prior of a run, half of the degrees of freedom count:
    the case may scatter otherwise (docs/evidence/two_references.py).

    Returns:
        None where the reference has no second worker, for a single block, and where the case is
        measured otherwise or trains on another backend, which may scatter several times as much.
    """
    logs = stats.reference_logs(m)
    if len(logs) < 2 or stats.by_fit(m) or m.pairs < _FEW_ROUNDS or _crosses_backends(m):
        return None
    return Prior(0.75 * statistics.fmean(log**2 for log in logs), len(logs) / 2)


@dataclass(frozen=True, slots=True)
class Speedups:
    """Moderated speedups of the comparisons of a run; without priors, of one comparison alone."""

    priors: Mapping[object, Prior | None] = field(default_factory=dict)

    @classmethod
    def of(cls, measured: Iterable[Measurement]) -> "Speedups":
        """Estimate a prior per way of measuring; ways scatter differently."""
        means: dict[object, list[Mean]] = defaultdict(list)
        for m in measured:
            means[_way(m)].append(stats.mean(stats.speedup_logs(m)))
        return cls({way: prior(its) for way, its in means.items()})

    def mean(self, m: Measurement) -> Mean:
        """Return the mean logarithm of the speedup over blocks, with its moderated variance."""
        return self._mean([(m, 1.0)])

    def _mean(self, signed: Sequence[Signed]) -> Mean:
        """Return the mean of a sum over comparisons of the same blocks."""
        m = signed[0][0]
        plain, known = stats.mean(stats.sums(signed)), self.priors.get(_way(m)) or by_reference(m)
        if known is None or (plain.n < 2 and m.ended != "screened"):
            return plain
        variance = known.variance * _workers(signed) / _workers(signed[:1])
        return dataclasses.replace(known, variance=variance).moderate(plain)

    def speedup(self, m: Measurement) -> Estimate:
        """Return reference time over case time per sample."""
        mean = self.mean(m)
        if m.ended != "screened" or not mean.freedom:
            return stats.exponential(stats.sum_of_means([mean], m.confidence))
        # All that is known of the scatter of its one block is what the others tell.
        half = stats.spread([(mean.variance, mean.freedom)], m.confidence)
        log = Estimate(mean.value, mean.value - half, mean.value + half, mean.n, m.confidence)
        return stats.exponential(log)

    def product(self, measured: Sequence[Measurement], signs: Sequence[float] = ()) -> Estimate:
        """Return the product of speedups, those of negative sign inverted.

        Comparisons of the same blocks are combined block by block, so that workers which they
        share cancel.
        """
        signed = list(zip(measured, signs or [1.0] * len(measured), strict=True))
        means = [self._mean(its) for its in stats.by_blocks(signed)]
        confidence = max(m.confidence for m in measured)
        return stats.exponential(stats.sum_of_means(means, confidence))


def _workers(signed: Iterable[Signed]) -> float:
    """Return the variance of a sum of logarithms, in variances of one worker."""
    weights: dict[Case, float] = defaultdict(float)
    workers: dict[Case, int] = defaultdict(lambda: 1)
    for m, sign in signed:
        weights[m.reference] += sign
        weights[m.case] -= sign
        if any(start.role == "second" for start in m.starts):
            workers[m.reference] = 2
    if len(weights) == 1:  # a case against itself: two workers
        return 2.0
    return sum(weight**2 / workers[case] for case, weight in weights.items())


def _way(m: Measurement) -> object:
    """Tell what comparisons must have in common to scatter alike."""
    few = m.pairs < _FEW_ROUNDS
    return m.interleaved, stats.by_fit(m), stats.is_grouped(m), few, _crosses_backends(m)


def _crosses_backends(m: Measurement) -> bool:
    return m.case.backend != m.reference.backend
