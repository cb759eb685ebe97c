"""How much sooner one full training is as accurate as another."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analyze import stats, verdicts
from harness.analyze.training.groups import Pair, median_epoch
from harness.analyze.verdicts import Verdict
from harness.records import Estimate, Training


@dataclass(frozen=True, slots=True)
class ToTarget:
    """A case and its reference on their way to a test accuracy; means over seeds."""

    epoch_speedup: Estimate
    epochs: float | None = None  # of the case; None where a training misses the target
    reference_epochs: float | None = None
    seconds: float | None = None  # epochs times the median epoch
    reference_seconds: float | None = None
    speedup: Estimate | None = None
    verdict: Verdict | None = None
    reason: str | None = None  # why there is no speedup


def compare(pairs: Sequence[Pair], target: float) -> ToTarget:
    """Compare the times to a test accuracy.

    The speedup of a seed is that of an epoch, times the epochs that the reference needs over
    those that the case needs. That of an epoch is a median over epochs, so that one disturbed
    epoch does not decide, as it would in elapsed seconds. The interval is over seeds.
    """
    logs = [_epoch_log(mine, other) for mine, other in pairs]
    an_epoch = stats.log_interval(logs)
    sides: list[tuple[Training, ...]] = list(zip(*pairs, strict=True))
    if any(epoch.val_accuracy is None for side in sides for t in side for epoch in t.epochs):
        reason = 'no test accuracy: no test set, or no metric "accuracy"'
        return ToTarget(an_epoch, reason=reason)
    needed = [[reached(training, target) for training in side] for side in sides]
    missed = [
        f"{side[0].recipe.case.variant} in {numbers.count(None)} of {len(side)} seeds"
        for side, numbers in zip(sides, needed, strict=True)
        if None in numbers
    ]
    if missed:
        return ToTarget(an_epoch, reason=f"{target:g} not reached by {', '.join(missed)}")
    mine, others = ([number for number in side if number is not None] for side in needed)
    ratios = zip(logs, mine, others, strict=True)
    speedup = stats.log_interval([log + math.log(b / a) for log, a, b in ratios])
    return ToTarget(
        an_epoch,
        epochs=statistics.fmean(mine),
        reference_epochs=statistics.fmean(others),
        seconds=_mean_seconds(sides[0], mine),
        reference_seconds=_mean_seconds(sides[1], others),
        speedup=speedup,
        verdict=None if speedup.low is None else verdicts.verdict(speedup),
    )


def _mean_seconds(side: Sequence[Training], epochs: Sequence[float]) -> float:
    return statistics.fmean(n * median_epoch(t) for n, t in zip(epochs, side, strict=True))


def _epoch_log(case: Training, reference: Training) -> float:
    """Logarithm of reference time over case time per epoch.

    The first epoch, with trace and compile, is left out where there are others.
    """
    first = 1 if min(len(case.epochs), len(reference.epochs)) > 1 else 0
    mine, other = ([e.seconds for e in t.epochs[first:]] for t in (case, reference))
    if case.interleaved and reference.interleaved:
        return statistics.median(math.log(b / a) for a, b in zip(mine, other, strict=False))
    return math.log(statistics.median(other) / statistics.median(mine))


def reached(training: Training, target: float) -> float | None:
    """Return the epochs until the test accuracy reaches the target; None if it never does.

    Accuracy is interpolated linearly between the ends of two epochs: whole epochs would be too
    coarse where few are needed.
    """
    before = None
    for epoch in training.epochs:
        now = epoch.val_accuracy
        if now is not None and now >= target:
            if before is None:
                return float(epoch.epoch)
            return epoch.epoch - (now - target) / (now - before)
        before = now
    return None
