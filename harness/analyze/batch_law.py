"""Step time = a + b·batch: the overhead of a step and the cost of a sample, or that it is not so.

Fitted to paired speedups and not to step times, since only what took turns
compares. With R the reference's batch size and its sample time as the unit,
the law says that a sample at batch B takes 1 + α (1/B − 1/R): a line through
the reference with one unknown, the overhead α = a / (the reference's sample
time). All else is a monotone function of α, so that its interval gives theirs.
"""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.analyze import legacy, stats, verdicts
from harness.analyze.analysis import Analysis
from harness.records import Case, Estimate, Measurement

COLUMNS = [
    "variant", "backend", "device", "threads", "reference", "batch_size", "measured",
    "speedup", "low", "high", "step_us", "step_us_low", "step_us_high", "fitted", "fitted_low",
    "fitted_high", "overhead_share", "overhead_share_low", "overhead_share_high",
    "gain", "gain_low", "gain_high", "gain_verdict", "alpha", "alpha_low", "alpha_high",
    "overhead_us", "overhead_us_low", "overhead_us_high", "sample_us", "sample_us_low",
    "sample_us_high", "half_batch", "half_batch_low", "half_batch_high", "limit", "limit_low",
    "limit_high", "lack_of_fit_p", "misfit", "reason",
]  # fmt: skip
AHEAD = (2, 4)  # sizes not measured, as multiples of the largest measured
_WORST_P = 0.01
_FEWEST_SIZES = 3


@dataclass(frozen=True, slots=True)
class Law:
    """The fit of one variant on one device.

    Attributes:
        reference: Batch size of the reference.
        largest: Largest batch size that was measured.
        alpha: Overhead of a step in sample times of the reference, with its interval.
        lack_of_fit_p: See `stats.lack_of_fit`.
        misfit: Largest share by which a size misses the law.
        reason: Why the law is refused; empty when it holds.
    """

    reference: int
    largest: int
    alpha: Estimate
    lack_of_fit_p: float
    misfit: float
    reason: str = ""

    def sample_time(self, alpha: float, size: float) -> float:
        """Time of a sample at that batch size, that of the reference being 1."""
        return 1 + alpha * (1 / size - 1 / self.reference)

    def of(self, function: Callable[[float], float]) -> Estimate:
        """A monotone function of the overhead, with its interval."""
        ends = [self.alpha.low, self.alpha.high]
        low, high = sorted(function(e) for e in ends if e is not None) or (None, None)
        value = function(self.alpha.value)
        return Estimate(value, low, high, self.alpha.n, self.alpha.confidence)

    def speedup(self, size: float) -> Estimate:
        """Speedup at a batch size against the reference."""
        return self.of(lambda alpha: 1 / self.sample_time(alpha, size))

    def gain(self, size: float) -> Estimate:
        """Speedup at a batch size against the largest that was measured."""
        return self.of(
            lambda alpha: self.sample_time(alpha, self.largest) / self.sample_time(alpha, size)
        )

    def overhead_share(self, size: float) -> Estimate:
        """Share of the overhead in a step."""
        return self.of(lambda alpha: alpha / size / self.sample_time(alpha, size))

    def half_batch(self) -> Estimate:
        """The batch at which half of a step is overhead: a / b."""
        return self.of(lambda alpha: alpha / self.sample_time(alpha, math.inf))


def fit(points: Mapping[int, Sequence[float]], reference: int) -> Law:
    """Fit the law to blocks.

    Least squares of relative errors, since sample times have about the same
    relative spread at every size; a t interval whose spread includes what the
    law misses.

    Args:
        points: Logarithms of speedups, one a block, by batch size; at least one size other
            than the reference's.
        reference: Batch size of the reference.
    """
    times = {
        size: [math.exp(-log) - 1 for log in logs]
        for size, logs in sorted(points.items())
        if size != reference
    }
    shares = {size: 1 + statistics.fmean(zs) for size, zs in times.items()}  # of the reference's
    pairs = [
        ((1 / size - 1 / reference) / shares[size], z / shares[size])
        for size, zs in times.items()
        for z in zs
    ]
    scale = sum(x * x for x, _ in pairs)
    alpha = sum(x * z for x, z in pairs) / scale
    errors = [
        [(z - alpha * (1 / size - 1 / reference)) / shares[size] for z in zs]
        for size, zs in times.items()
    ]
    law = Law(
        reference=reference,
        largest=max(*times, reference),
        alpha=_interval(alpha, errors, scale),
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
    """Say why the law is not to be used; empty when nothing speaks against it."""
    if sizes < _FEWEST_SIZES:
        return f"not fitted: {_FEWEST_SIZES} batch sizes are needed to see whether the law holds"
    if law.alpha.high is not None and law.alpha.high < 0:
        return "the law does not hold: a sample takes longer in a larger batch"
    if law.lack_of_fit_p < _WORST_P and law.misfit > verdicts.MARGIN:
        return f"the law does not hold: a size misses it by {100 * law.misfit:.0f} %"
    ends = [law.alpha.value, *filter(None, (law.alpha.low, law.alpha.high))]
    if min(law.sample_time(alpha, math.inf) for alpha in ends) <= 0:
        return "not fitted: the blocks differ too much to tell overhead from cost a sample"
    return ""


def laws(analysis: Analysis) -> Iterator[tuple[Case, Law, Mapping[int, Sequence[float]]]]:
    """Fit the law to every variant and device whose batch sizes were compared.

    Yields:
        The reference, the law, and the logarithms of speedups, one a block, by batch size.
    """
    groups: dict[Case, list[Measurement]] = defaultdict(list)
    for m in analysis.roles.compared("batch_size"):
        groups[dataclasses.replace(m.case, batch_size=m.reference.batch_size)].append(m)
    for reference, measured in groups.items():
        points = {m.case.batch_size: stats.speedup_logs(m) for m in measured}
        if not set(points) <= {reference.batch_size}:
            yield reference, fit(points, reference.batch_size), points


def batch_size_law(analysis: Analysis) -> pd.DataFrame:
    """One row a variant, device and batch size, measured or not, with the law beside it.

    A refused law leaves its columns empty and says why in `reason`. `alpha` is the
    overhead in sample times of the reference; see the text of this module.
    """
    step = {side.case: side.step for side in analysis.cases}
    rows: list[dict[str, Any]] = []
    for reference, law, points in laws(analysis):
        rows += _rows(reference, law, step[reference], points)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["variant", "device", "batch_size"], kind="stable", ignore_index=True)


def _rows(
    reference: Case, law: Law, step: Estimate, points: Mapping[int, Sequence[float]]
) -> list[dict[str, Any]]:
    shared: dict[str, Any] = {
        **legacy.case_columns(reference),
        "reference": str(reference.batch_size),
        "lack_of_fit_p": law.lack_of_fit_p,
        "misfit": law.misfit,
        "reason": law.reason,
    }
    if not law.reason:
        shared |= {
            **_columns("alpha", law.alpha),
            **_columns("overhead_us", _in_us(law.of(lambda alpha: alpha), step, reference)),
            **_columns(
                "sample_us", _in_us(law.of(lambda a: law.sample_time(a, math.inf)), step, reference)
            ),
            **_columns("half_batch", law.half_batch()),
            **_columns("limit", law.gain(math.inf)),
        }
    measured = {reference.batch_size: [0.0], **points}
    ahead = () if law.reason else (factor * law.largest for factor in AHEAD)
    sizes = sorted({*measured, *ahead})
    return [
        {
            **shared,
            **_row(law, size, points.get(size)),
            **_step_time(law, size, step, reference),
            "measured": size in measured,
        }
        for size in sizes
    ]


def _step_time(law: Law, size: int, step: Estimate, reference: Case) -> dict[str, float | None]:
    """Overhead and cost of the samples of a step of that size."""
    if law.reason:
        return {}
    time = law.of(lambda alpha: size * law.sample_time(alpha, size))
    return _columns("step_us", _in_us(time, step, reference))


def _in_us(times: Estimate, step: Estimate, reference: Case) -> Estimate:
    """Take times of samples of the reference to µs.

    The time of its step is an estimate, too, of other blocks: both spreads add
    as those of a product of independent factors.
    """
    unit = 1e6 / reference.batch_size
    value = times.value * step.value * unit

    def away(own: float | None, its: float | None) -> float | None:
        if own is None or its is None:
            return None
        return math.hypot((own - times.value) * step.value, times.value * (its - step.value)) * unit

    low, high = away(times.low, step.low), away(times.high, step.high)
    return dataclasses.replace(
        times,
        value=value,
        low=None if low is None else value - low,
        high=None if high is None else value + high,
    )


def _row(law: Law, size: int, logs: Sequence[float] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"batch_size": size}
    if logs is not None:
        estimate = stats.log_interval(logs)
        row |= {"speedup": estimate.value, "low": estimate.low, "high": estimate.high}
    if not law.reason:
        row |= {
            **_columns("fitted", law.speedup(size)),
            **_columns("overhead_share", law.overhead_share(size)),
        }
        if size > law.largest:
            gain = law.gain(size)
            judged = None if gain.low is None else verdicts.verdict(gain)
            row |= {**_columns("gain", gain), "gain_verdict": judged}
    return row


def _columns(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
