"""The time of an epoch: measured whole, or projected from what was timed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analyze import stats
from harness.analyze.start_order import without_start_order
from harness.records import Estimate, Fit, Measurement


@dataclass(frozen=True, slots=True)
class Epoch:
    """Seconds per epoch; projected from steps they lack the time that `fit` adds."""

    seconds: Estimate  # with an interval over blocks, if a `fit` was timed
    source: str  # measured, projected from fit (a part was timed), or projected from steps
    input_share: float | None  # time that `fit` adds, as a share of its steps; None without a `fit`


def epoch(fits: Sequence[Fit], step_seconds: float, batch_size: int, train_samples: int) -> Epoch:
    """Estimate an epoch from one `fit` per fresh worker, or from the step time alone."""
    bare = step_seconds * train_samples / batch_size
    if not fits:
        return Epoch(Estimate(bare, None, None, 0), "projected from steps", None)
    seconds = stats.log_interval([math.log(project(fit, train_samples)) for fit in fits])
    whole = all(fit.whole_epoch for fit in fits)
    source = "measured" if whole else "projected from fit"
    return Epoch(seconds, source, seconds.value / bare - 1)


def speedup(measurement: Measurement) -> Estimate | None:
    """Return the speedup per epoch of `fit`, over the blocks in which both sides timed one."""
    facts = {"case": measurement.facts, "reference": measurement.reference_facts}
    logs = stats.fit_logs(measurement, lambda f, role: project(f, facts[role].train_samples))
    return stats.log_interval(without_start_order([*logs.values()], [*logs])) if logs else None


def project(fit: Fit, train_samples: int) -> float:
    """Project a timed part of an epoch to the whole epoch, in seconds.

    The first step, with what an epoch pays once, counts once; each other sample takes as long as
    in the timed part. A ragged last batch counts by its samples.
    """
    if fit.whole_epoch:
        return fit.seconds
    first = fit.samples // fit.steps * fit.first_steps
    return fit.first_step_seconds + fit.later_sample_seconds * (train_samples - first)
