"""Does arithmetic explain the time? Rates of a machine, and the line of a width sweep."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analyze import stats
from harness.analyze.cases import CaseData
from harness.records import Case, Estimate

PASSES = 3  # forward, and backward to weights and to inputs: the usual count of a training step
_FEWEST_WIDTHS = 3

Place = tuple[str, str, int, str]


def place(case: Case) -> Place:
    """Return what decides the rates of a machine: framework, device, threads and precision."""
    return case.backend, case.device, case.threads, case.precision


@dataclass(frozen=True, slots=True)
class Peak:
    """The rate of a matrix product and the size of its matrices."""

    gflops: Estimate
    size: int


def peaks(cases: Iterable[CaseData]) -> dict[Place, Peak]:
    """Return the rate of a matrix product where it is known.

    Over all workers with the same framework, device, threads and precision, since the rate is the
    machine's, whatever the workers trained.
    """
    products: dict[Place, list[tuple[float, int]]] = defaultdict(list)
    for data in cases:
        products[place(data.case)] += [
            (math.log(start.product_flops), start.product_size or 0)
            for start in data.starts
            if start.product_flops
        ]
    return {where: _peak(found) for where, found in products.items() if found}


def _peak(products: Sequence[tuple[float, int]]) -> Peak:
    rate = stats.log_interval([log for log, _ in products])
    low, high = (None if end is None else end / 1e9 for end in (rate.low, rate.high))
    gflops = Estimate(rate.value / 1e9, low, high, rate.n)
    return Peak(gflops, max(size for _, size in products))


@dataclass(frozen=True, slots=True)
class Line:
    """Sample time as fixed + slope · multiply-accumulates: µs, and µs per million."""

    fixed_us: float
    us_per_million: float

    def at(self, macs: float) -> float:
        """Return µs per sample."""
        return self.fixed_us + self.us_per_million * macs / 1e6


def line(sweep: Sequence[tuple[float, float]]) -> Line | None:
    """Fit a line to a width sweep; None for fewer than three widths.

    Least squares of relative errors, since a slow variant's error is larger in µs.

    Args:
        sweep: Multiply-accumulates and µs per sample of each variant.
    """
    if len({macs for macs, _ in sweep}) < _FEWEST_WIDTHS:
        return None
    millions = np.array([macs / 1e6 for macs, _ in sweep])
    times = np.array([us for _, us in sweep])
    slope, fixed = np.polyfit(millions, times, 1, w=1 / times)
    return Line(float(fixed), float(slope))
