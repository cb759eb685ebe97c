"""A claim about the method, what was measured, and whether the claim holds."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.analyze import stats, verdicts
from harness.records import Estimate

Verdict = Literal["holds", "falls short", "not shown", "for comparison"]
_RARE = 0.05


@dataclass(frozen=True, slots=True)
class Check:
    """A claim and its test.

    Attributes:
        claim: What must hold; empty for a figure that is only for comparison.
        found: What was measured, with its interval.
        n: Number of comparisons, blocks, pairs or workers.
        verdict: `holds`; `falls short`, shown not to hold; `not shown`, neither; `for
            comparison`, nothing is claimed.
    """

    subject: str
    claim: str
    found: str
    n: int
    verdict: Verdict


def share(subject: str, claim: str, hits: int, n: int, least: float | None) -> Check:
    """Judge how often something happened.

    The claim holds if the share is reached; it falls short if so few hits would be rare (5 %)
    under the claim.

    Args:
        subject: What was tried.
        claim: What must hold.
        hits: How often it happened.
        n: Number of tries.
        least: Claimed share; None claims nothing.
    """
    if n == 0:
        return Check(subject, claim, "nothing was measured", 0, "not shown")
    low, high = stats.share_interval(hits, n)
    found = f"{hits} of {n} ({100 * hits / n:.0f} % [{100 * low:.0f}, {100 * high:.0f}])"
    if least is None:
        verdict: Verdict = "for comparison"
    elif hits >= least * n:
        verdict = "holds"
    else:
        verdict = "falls short" if stats.at_most(hits, n, least) < _RARE else "not shown"
    return Check(subject, claim, found, n, verdict)


def ratio(subject: str, claim: str, estimate: Estimate, margin: float | None) -> Check:
    """Judge by its interval a ratio that should be 1 within a margin."""
    return Check(subject, claim, _with_ends(estimate), estimate.n, _within(estimate, margin))


def _with_ends(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _within(estimate: Estimate, margin: float | None) -> Verdict:
    if margin is None:
        return "for comparison"
    found = verdicts.verdict(estimate, margin)
    if found == "same":
        return "holds"
    return "not shown" if found in {"undecided", "small difference"} else "falls short"


def half_width(estimate: Estimate) -> float:
    """Return half of an interval's width, as a share; infinite without an interval."""
    if estimate.low is None or estimate.high is None:
        return math.inf
    return math.sqrt(estimate.high / estimate.low) - 1
