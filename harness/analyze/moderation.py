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
from collections.abc import Iterable
from dataclasses import dataclass

from harness.analyze import stats
from harness.analyze.stats import Mean, log_of_variance
from harness.records import Estimate, Measurement
from harness.records.protocol import FEW

MOST_FREEDOM = 20.0
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


@dataclass(frozen=True, slots=True)
class Speedups:
    """Moderated speedups of the comparisons of a run."""

    priors: dict[object, Prior | None]

    @classmethod
    def of(cls, measured: Iterable[Measurement]) -> "Speedups":
        """Estimate a prior per way of measuring; ways scatter differently."""
        means: dict[object, list[Mean]] = defaultdict(list)
        for m in measured:
            means[_way(m)].append(stats.mean(stats.speedup_logs(m)))
        return cls({way: prior(its) for way, its in means.items()})

    def mean(self, m: Measurement) -> Mean:
        """Return the mean logarithm of the speedup over blocks, with its moderated variance."""
        plain, known = stats.mean(stats.speedup_logs(m)), self.priors.get(_way(m))
        alone = plain.n < 2 and m.ended != "screened"
        return plain if known is None or alone else known.moderate(plain)

    def speedup(self, m: Measurement) -> Estimate:
        """Return reference time over case time per sample."""
        mean = self.mean(m)
        if m.ended != "screened" or not mean.freedom:
            return stats.exponential(stats.sum_of_means([mean], m.confidence))
        # All that is known of the scatter of its one block is what the others tell.
        half = stats.spread([(mean.variance, mean.freedom)], m.confidence)
        log = Estimate(mean.value, mean.value - half, mean.value + half, mean.n, m.confidence)
        return stats.exponential(log)


def _way(m: Measurement) -> object:
    return m.interleaved, stats.by_fit(m), stats.is_grouped(m)
