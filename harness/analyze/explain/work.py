"""Does arithmetic explain the time? Rates of a machine, and the line of a width sweep."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analyze import stats
from harness.analyze.cases import CaseData
from harness.records import Estimate, Platform

PASSES = 3  # forward, and backward to weights and to inputs: the usual count of a training step
_FEWEST_WIDTHS = 3


@dataclass(frozen=True, slots=True)
class Peak:
    """The rate of a matrix product and the size of its matrices."""

    gflops: Estimate
    size: int


def rates(cases: Iterable[CaseData], name: str) -> dict[Platform, list[float]]:
    """Return the logarithms of a rate that workers measured, by place.

    Over all workers with the same framework, device, threads and precision, since the rate is the
    machine's, whatever the workers trained.
    """
    found: dict[Platform, list[float]] = defaultdict(list)
    for data in cases:
        its = (getattr(start, name) for start in data.starts)
        found[data.case.platform] += [math.log(rate) for rate in its if rate]
    return {where: logs for where, logs in found.items() if logs}


def peaks(cases: Sequence[CaseData]) -> dict[Platform, Peak]:
    """Return the rate of a matrix product where it is known."""
    sizes: dict[Platform, int] = defaultdict(int)
    for data in cases:
        its = (start.product_size or 0 for start in data.starts if start.product_flops)
        sizes[data.case.platform] = max([sizes[data.case.platform], *its])
    return {
        where: Peak(stats.log_interval(logs).mapped(lambda rate: rate / 1e9), sizes[where])
        for where, logs in rates(cases, "product_flops").items()
    }


@dataclass(frozen=True, slots=True)
class Line:
    """Sample time as fixed + slope · multiply-accumulates: µs, and µs per million."""

    fixed_us: float
    us_per_million: float

    def at(self, macs: float) -> float:
        """Return µs per sample."""
        return self.fixed_us + self.us_per_million * macs / 1e6


def line(sweep: Sequence[tuple[float, float]]) -> Line | None:
    """Fit a line to multiply-accumulates and µs per sample of variants; None below three widths.

    Least squares of relative errors, since a slow variant's error is larger in µs.
    """
    if len({macs for macs, _ in sweep}) < _FEWEST_WIDTHS:
        return None
    millions = np.array([macs / 1e6 for macs, _ in sweep])
    times = np.array([us for _, us in sweep])
    slope, fixed = np.polyfit(millions, times, 1, w=1 / times)
    return Line(float(fixed), float(slope))
