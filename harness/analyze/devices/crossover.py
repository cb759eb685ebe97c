"""When a GPU pays: from which batch size, and after how many samples."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analyze import rounds, stats
from harness.records import Estimate, Measurement, Role


@dataclass(frozen=True, slots=True)
class Crossover:
    """From where on the case pays, with a 95 % interval, and why a value or an end is missing."""

    value: float | None = None  # None when it is outside of the measured range
    low: float | None = None  # None when that end is open
    high: float | None = None
    reason: str = ""


def batch_size(points: Sequence[tuple[int, Estimate]]) -> Crossover:
    """Find the batch size from which the case, on a GPU, is as fast as its reference.

    Between two sizes the log speedup is interpolated linearly in the log size. The interval
    ends where the ends of the speedups' intervals cross 1. Points are (batch size, speedup), in
    the order of sizes.
    """
    sizes = [size for size, _ in points]
    values = [estimate.value for _, estimate in points]
    between = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    value = _crossing(sizes, values)
    if value is None:
        if min(values) < 1 <= max(values):
            return Crossover(reason=f"the GPU is faster at the smaller sizes only ({between})")
        faster = "faster" if values[-1] >= 1 else "slower"
        where = f"the GPU is {faster} at every size measured ({between})"
        shown = all(estimate.holds(1) is False for _, estimate in points)
        return Crossover(reason=where if shown else f"not shown that {where}")
    lows = [estimate.low for _, estimate in points if estimate.low is not None]
    highs = [estimate.high for _, estimate in points if estimate.high is not None]
    if len(lows) < len(points) or len(highs) < len(points):
        return Crossover(value, reason="no interval: too few blocks")
    low, high = _crossing(sizes, highs), _crossing(sizes, lows)
    open_end = low is None or high is None
    why = f"interval open: an end is not within {between}" if open_end else ""
    return Crossover(value, low, high, why)


def _crossing(sizes: Sequence[int], speedups: Sequence[float]) -> float | None:
    """Find where the speedup rises through 1 for the last time; None if it never does."""
    logs = [(math.log(size), math.log(value)) for size, value in zip(sizes, speedups, strict=True)]
    for (x0, y0), (x1, y1) in reversed(list(itertools.pairwise(logs))):
        if y0 < 0 <= y1:
            return math.exp(x0 - y0 * (x1 - x0) / (y1 - y0))
    return None


def break_even_samples(measurement: Measurement) -> Crossover:
    """Find the samples after which the case's faster steps make up for its slower start.

    The start of a worker lasts from the start of its process to the end of its first step:
    device, build, trace and compile, without the import of the framework. The result is the
    difference of the starts over the difference of the times per sample, both per block.
    """
    starts = {(s.block, s.role): s.ready_seconds for s in measurement.starts}
    workers = rounds.by_worker(measurement)

    def sample(block: int, role: Role) -> float:
        return rounds.median_step(workers[role, block]) / measurement.side(role).batch_size

    blocks = sorted({block for block, _ in starts})
    later = [starts[block, "case"] - starts[block, "reference"] for block in blocks]
    gained = [sample(block, "reference") - sample(block, "case") for block in blocks]
    gain = stats.interval(gained)
    if gain.value <= 0:
        return Crossover(reason="never: its steps are not faster")
    if statistics.fmean(later) <= 0:
        return Crossover(0.0, reason="from the first step: it is ready no later")
    ratio = stats.ratio_of_means(later, gained)
    if ratio.low is None or ratio.high is None:
        why = "too few blocks" if gain.low is None else "its steps are not shown to be faster"
        return Crossover(ratio.value, reason=f"no interval: {why}")
    return Crossover(ratio.value, max(0.0, ratio.low), ratio.high)
