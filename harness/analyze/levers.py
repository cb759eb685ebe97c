"""What a setting changes besides the speed: early losses, slower starts, memory."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.analyze import rounds, stats
from harness.analyze.verdicts import MARGIN
from harness.records import Estimate, Measurement, Role, Run

LossVerdict = Literal["same", "differs", "not shown"]
LOSS_MARGIN = 0.05
_SAME = 1e-6


def worth(m: Measurement) -> bool:
    """Return whether a setting is kept: the whole interval is above 1 and the loss is the same.

    At quick effort, which has no intervals, the speedup must exceed the margin of verdicts.
    """
    estimate, loss = stats.speedup(m), loss_difference(m)
    if loss is not None and loss_verdict(loss) == "differs":
        return False
    return estimate.value > 1 + MARGIN if estimate.low is None else estimate.low > 1


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses of both sides after equal steps, and how they differ."""

    case: float | None  # mean over blocks of the loss in the second half of the first `steps` steps
    reference: float | None
    # A share of the reference's; paired, since both sides of a block start from the same weights.
    difference: Estimate | None
    verdict: LossVerdict | None  # None at quick effort
    steps: int | None  # None where the losses were not measured


def losses(m: Measurement, run: Run) -> Losses:
    """Compare the early losses of both sides."""
    found, pairs = loss_difference(m), _losses(m)
    return Losses(
        case=_mean([case for case, _ in pairs]),
        reference=_mean([reference for _, reference in pairs]),
        difference=found,
        verdict=None if run.protocol.effort == "quick" else loss_verdict(found),
        steps=next((s.early_steps for s in m.starts if s.early_steps), None),
    )


def loss_difference(m: Measurement) -> Estimate | None:
    """Return how far the loss after equal steps is off, as a share of the reference's loss."""
    shares = [(here - there) / abs(there) for here, there in _losses(m) if there]
    return stats.interval(shares) if shares else None


def loss_verdict(difference: Estimate | None) -> LossVerdict | None:
    """Judge whether the loss after equal steps is the same within the margin."""
    if difference is None:
        return None
    if difference.n == 1 and abs(difference.value) <= _SAME:
        return "same"  # the same arithmetic: other blocks measured none
    if difference.low is None or difference.high is None:
        return None
    if difference.low >= -LOSS_MARGIN and difference.high <= LOSS_MARGIN:
        return "same"
    outside = difference.low > LOSS_MARGIN or difference.high < -LOSS_MARGIN
    return "differs" if outside else "not shown"


def _losses(m: Measurement) -> list[tuple[float, float]]:
    """Return the losses of case and reference of each block that has both.

    A reference of several cases may have more, which it trained for the others.
    """
    found: dict[int, dict[Role, float]] = defaultdict(dict)
    for start in m.starts:
        if start.early_loss is not None:
            found[start.block][start.role] = start.early_loss
    both = (its for _, its in sorted(found.items()) if {"case", "reference"} <= set(its))
    return [(its["case"], its["reference"]) for its in both]


def pays_after_steps(m: Measurement) -> int | None:
    """Return the steps after which a slower first step is made up for; None for never.

    The extra seconds of the first execution beyond the usual time of the same steps, over the
    seconds that each later step saves.
    """
    here, there = _step(m, "case"), _step(m, "reference")
    if here >= there:
        return None
    extra = first_step_seconds(m, "case") - m.case.steps_per_execution * here
    extra -= first_step_seconds(m, "reference") - m.reference.steps_per_execution * there
    return max(0, round(extra / (there - here)))


def _step(m: Measurement, role: Role) -> float:
    """Return the median of seconds per step over blocks; of `fit` where `fit` is compared."""
    if not stats.by_fit(m):
        return statistics.median(map(rounds.median_step, rounds.of_role(m, role)))
    fits = [s.fit for s in m.starts if s.role == role and s.fit]
    return statistics.median(f.later_sample_seconds * m.side(role).batch_size for f in fits)


def first_step_seconds(m: Measurement, role: Role) -> float:
    """Return the median time of the first step, which traces and compiles."""
    return statistics.median(s.first_step_seconds for s in m.starts if s.role == role)


def peak_mib(m: Measurement, role: Role) -> float:
    """Return the largest peak of memory of a side's workers, in MiB."""
    return max(s.peak_rss_bytes for s in m.starts if s.role == role) / 2**20


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
