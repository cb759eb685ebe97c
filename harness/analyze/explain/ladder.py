"""A speedup taken apart: what each change of a ladder brings and where the changes lead."""

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from harness.analyze import stats
from harness.analyze.moderation import Speedups
from harness.records import Estimate, Ladder, Measurement, comparison_key


@dataclass(frozen=True, slots=True)
class Climb:
    """The measured changes of one ladder, in order.

    A share is a change's part in the logarithm of the whole product; None where the product is not
    shown to differ from 1, since shares of noise mean nothing.
    """

    steps: tuple[Measurement, ...]  # one per change, up to the first that is missing
    so_far: tuple[Estimate, ...]  # product of the speedups up to each
    shares: tuple[float | None, ...]
    direct: Measurement | None  # the last case against the first reference
    product_over_direct: Estimate | None  # of the whole product; should be 1


def climb(ladder: Ladder, measured: Mapping[str, Measurement], speedups: Speedups) -> Climb:
    """Multiply the changes of a ladder; `measured` are the comparisons of the run, by key.

    Changes that were measured together share workers, which cancel block by block.
    """
    keys = itertools.takewhile(measured.__contains__, (rung.key for rung in ladder.rungs))
    steps = [measured[key] for key in keys]
    logs = [stats.speedup_logs(m) for m in steps]
    so_far = [speedups.product(steps[: number + 1]) for number in range(len(logs))]
    means = [statistics.fmean(values) for values in logs]
    known = bool(so_far) and so_far[-1].holds(1) is False
    direct = measured.get(comparison_key(ladder.rungs[-1].case, ladder.rungs[0].reference))
    ratio = None
    if direct is not None and 1 < len(logs) == len(ladder.rungs):
        signs = [1.0] * len(steps) + [-1.0]
        ratio = speedups.product([*steps, direct], signs)
    shares = tuple(mean / sum(means) if known else None for mean in means)
    return Climb(tuple(steps), tuple(so_far), shares, direct, ratio)
