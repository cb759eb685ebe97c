"""What "faster" means: how a speedup with its interval is judged against a margin of 2 %."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.analyze import energy, published, stats
from harness.analyze.analysis import Analysis
from harness.analyze.moderation import Speedups
from harness.records import Estimate, Measurement

Verdict = Literal["faster", "slower", "same", "small difference", "undecided"]
MARGIN = 0.02
_POWER = 0.8
HOPELESS = 0.1
DEFINITION = (
    f"faster, slower: the whole interval lies more than {100 * MARGIN:g} % from 1; same: all of it "
    f"within {100 * MARGIN:g} %; small difference: on one side of 1, partly within "
    f"{100 * MARGIN:g} %; else undecided"
)


def verdict(estimate: Estimate, margin: float = MARGIN) -> Verdict:
    """Judge a speedup by its interval, as `DEFINITION` says; without one it is undecided."""
    low, high = estimate.low, estimate.high
    if low is None or high is None:
        return "undecided"
    if low > 1 + margin:
        return "faster"
    if high < 1 / (1 + margin):
        return "slower"
    if low >= 1 / (1 + margin) and high <= 1 + margin:
        return "same"
    return "small difference" if low > 1 or high < 1 else "undecided"


def is_decided(m: Measurement) -> bool:
    """Whether a comparison is decided by its blocks, without the other comparisons of the run."""
    return verdict(Speedups().speedup(m)) != "undecided"


def is_hopeless(m: Measurement) -> bool:
    """Whether a first block excludes a gain of the margin: the case is slower by 10 % or more.

    Values of blocks scatter by 1 to 3 %, so that this is far beyond what a block misses by.
    """
    return max(stats.logs_by_block(m).values()) < math.log(1 - HOPELESS)


def smallest_visible(estimate: Estimate, freedom: float) -> float | None:
    """Return the effect that four of five such runs would show, as a share.

    The sum of the margin, the half-width of the interval, and what the mean of another run may
    fall short of the effect with a probability of one fifth; `freedom` is that of the interval.
    """
    if estimate.low is None or estimate.high is None:
        return None
    half = math.log(estimate.high / estimate.low) / 2
    spread = stats.student_t_quantile(_POWER, freedom)
    spread /= stats.student_t_quantile((1 + estimate.confidence) / 2, freedom)
    return math.exp(half * (1 + spread)) * (1 + MARGIN) - 1


@dataclass(frozen=True, slots=True)
class Judged:
    """A comparison as every table of speedups shows it."""

    speedup: Estimate
    blocks: int
    verdict: Verdict | None  # None at quick effort, which gives no verdicts
    smallest_visible: float | None
    noise_floor: bool  # whether the reference was compared with itself
    published: float | None  # speedup in the report that the bundled variants come from
    energy: Estimate | None = None  # the same with joules of the CPUs in place of seconds


def judge(m: Measurement, analysis: Analysis) -> Judged:
    """Judge a comparison of a run."""
    mean, judged = analysis.speedups.mean(m), analysis.run.protocol.effort != "quick"
    estimate = analysis.speedups.speedup(m)
    return Judged(
        speedup=estimate,
        blocks=len(stats.logs_by_block(m)),
        verdict=verdict(estimate) if judged else None,
        smallest_visible=smallest_visible(estimate, mean.freedom) if judged else None,
        noise_floor=m.case == m.reference,
        published=published.speedup(m, analysis.run),
        energy=energy.speedup(m),
    )
