"""The law step time = a + b·batch: fixed cost per step and cost per sample, where they fit.

Fitted to paired speedups and not to step times, since only paired rounds compare. With R the
reference's batch size and the reference's sample time as the unit, a sample at batch B takes
1 + α (1/B − 1/R): a line through the reference with one unknown, the fixed cost
α = a / (sample time of the reference). All else is a monotone function of α, so the interval of α
gives all other intervals.
"""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analyze import stats, verdicts
from harness.analyze.analysis import Analysis
from harness.records import Case, Estimate, Measurement

_WORST_P = 0.01
_FEWEST_SIZES = 3


@dataclass(frozen=True, slots=True)
class Law:
    """The law of one variant on one device."""

    reference: int  # batch size of the reference
    largest: int  # largest batch size that was measured
    alpha: Estimate  # fixed cost per step in sample times of the reference
    lack_of_fit_p: float  # see `stats.lack_of_fit`
    misfit: float  # largest share by which a size misses the law
    reason: str = ""  # why the law is refused; empty when it holds

    def sample_time(self, alpha: float, size: float) -> float:
        """Time per sample at a batch size, in sample times of the reference."""
        return 1 + alpha * (1 / size - 1 / self.reference)

    def of(self, function: Callable[[float], float]) -> Estimate:
        """Apply a monotone function to the fixed cost and its interval."""
        ends = [self.alpha.low, self.alpha.high]
        low, high = sorted(function(e) for e in ends if e is not None) or (None, None)
        value = function(self.alpha.value)
        return Estimate(value, low, high, self.alpha.n, self.alpha.confidence)

    def speedup(self, size: float) -> Estimate:
        """Return the speedup at a batch size over the reference."""
        return self.of(lambda alpha: 1 / self.sample_time(alpha, size))

    def gain(self, size: float) -> Estimate:
        """Return the speedup at a batch size over the largest that was measured."""
        time, largest = self.sample_time, self.largest
        return self.of(lambda alpha: time(alpha, largest) / time(alpha, size))

    def overhead_share(self, size: float) -> Estimate:
        """Return the share of the fixed cost in a step."""
        return self.of(lambda alpha: alpha / size / self.sample_time(alpha, size))

    def half_batch(self) -> Estimate:
        """Return the batch size at which half of a step is fixed cost: a / b."""
        return self.of(lambda alpha: alpha / self.sample_time(alpha, math.inf))


def fit(points: Mapping[int, Sequence[float]], reference: int, *, joint: bool = False) -> Law:
    """Fit the law to blocks.

    Least squares of relative errors, since sample times have about the same relative spread at
    every size; a t interval whose spread includes what the law misses. The points are logarithms
    of speedups, one per block, by batch size; at least one size is not the reference's. Sizes that
    were measured in the same blocks share their reference (`joint`): the interval is over blocks,
    each with a fit of its own.
    """
    times = {
        size: [math.exp(-log) - 1 for log in logs]
        for size, logs in sorted(points.items())
        if size != reference
    }
    shares = {size: 1 + statistics.fmean(zs) for size, zs in times.items()}  # of the reference's
    line = {size: 1 / size - 1 / reference for size in times}
    pairs = [(line[s] / shares[s], z / shares[s]) for s, zs in times.items() for z in zs]
    scale, blocks = sum(x * x for x, _ in pairs), min(map(len, times.values()))
    alpha = sum(x * z for x, z in pairs) / scale
    weights = {size: blocks * line[size] / shares[size] ** 2 / scale for size in times}
    alone = [
        sum(weights[size] * zs[block] for size, zs in times.items()) for block in range(blocks)
    ]
    errors = [[(z - alpha * line[s]) / shares[s] for z in zs] for s, zs in times.items()]
    law = Law(
        reference=reference,
        largest=max(*times, reference),
        alpha=stats.interval(alone) if joint else _interval(alpha, errors, scale),
        lack_of_fit_p=stats.lack_of_fit(errors, 1) if len(times) > 1 else math.nan,
        misfit=max(abs(statistics.fmean(group)) for group in errors),
    )
    return dataclasses.replace(law, reason=_refusal(law, len(times) + 1))


def _interval(alpha: float, errors: Sequence[Sequence[float]], scale: float) -> Estimate:
    n, blocks = sum(map(len, errors)), min(map(len, errors))
    if blocks < 3:
        return Estimate(alpha, None, None, blocks)
    variance = sum(e * e for group in errors for e in group) / (n - 1) / scale
    half = stats.t_quantile(0.95, n) * math.sqrt(variance)
    return Estimate(alpha, alpha - half, alpha + half, blocks)


def _refusal(law: Law, sizes: int) -> str:
    """Say why the law must not be used; empty when it holds."""
    if sizes < _FEWEST_SIZES:
        return f"not fitted: {_FEWEST_SIZES} batch sizes are needed to see whether the model fits"
    if law.alpha.high is not None and law.alpha.high < 0:
        return "the model does not fit: a sample takes longer in a larger batch"
    if law.lack_of_fit_p < _WORST_P and law.misfit > verdicts.MARGIN:
        return f"the model does not fit: a size misses it by {100 * law.misfit:.0f} %"
    ends = [law.alpha.value, *filter(None, (law.alpha.low, law.alpha.high))]
    if min(law.sample_time(alpha, math.inf) for alpha in ends) <= 0:
        return "not fitted: the blocks differ too much to tell overhead from cost a sample"
    return ""


def laws(analysis: Analysis) -> Iterator[tuple[Case, Law, Mapping[int, Sequence[float]]]]:
    """Yield reference, law and points of every variant and device with several batch sizes."""
    groups: dict[Case, list[Measurement]] = defaultdict(list)
    for m in analysis.roles.compared("batch_size"):
        groups[dataclasses.replace(m.case, batch_size=m.reference.batch_size)].append(m)
    for reference, measured in groups.items():
        points = {m.case.batch_size: stats.speedup_logs(m) for m in measured}
        if not set(points) <= {reference.batch_size}:
            joint = len(stats.by_blocks((m, 1.0) for m in measured)) == 1 < len(measured)
            yield reference, fit(points, reference.batch_size, joint=joint), points


def in_microseconds(times: Estimate, step: Estimate, reference: int) -> Estimate:
    """Convert sample times of the reference to µs, by the seconds of the reference's step.

    The time of the step is an estimate from other blocks: both spreads add as those of a product
    of independent factors.
    """
    unit = 1e6 / reference
    value = times.value * step.value * unit
    if times.low is None or times.high is None or step.low is None or step.high is None:
        return dataclasses.replace(times, value=value, low=None, high=None)

    def away(own: float, other: float) -> float:
        parts = (own - times.value) * step.value, times.value * (other - step.value)
        return math.hypot(*parts) * unit

    low, high = value - away(times.low, step.low), value + away(times.high, step.high)
    return dataclasses.replace(times, value=value, low=low, high=high)
