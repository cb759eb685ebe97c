"""A claim about the method, what was measured, and whether the claim holds."""

from collections.abc import Sequence
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


def decided(subject: str, claim: str, found: str, n: int, *, holds: bool) -> Check:
    """Judge what holds or does not, without doubt."""
    return Check(subject, claim, found, n, "holds" if holds else "falls short")


def between(subject: str, claim: str, values: Sequence[float], low: float, high: float) -> Check:
    """Judge whether every value lies in a range."""
    least, most = min(values), max(values)
    holds = least >= low and most <= high
    return decided(subject, claim, f"{least:.3f} to {most:.3f}", len(values), holds=holds)


def share(subject: str, claim: str, tries: Sequence[bool], least: float | None = None) -> Check:
    """Judge how often something happened.

    The claim holds if a share of the tries, `least`, is reached; it falls short if so few hits
    would be rare (5 %) under the claim. Without `least` nothing is claimed.
    """
    hits, n = sum(tries), len(tries)
    if least is not None:
        claim = f"{claim} in ≥ {100 * least:.0f} %"
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


def ratio(subject: str, estimate: Estimate, margin: float, remark: str = "") -> Check:
    """Judge by its interval a ratio that should be 1 within a margin."""
    low, high = estimate.low, estimate.high
    ends = "" if low is None or high is None else f" [{low:.3f}, {high:.3f}]"
    shown = verdicts.verdict(estimate, margin)
    verdict: Verdict = "falls short"
    if shown == "same":
        verdict = "holds"
    elif shown in {"undecided", "small difference"}:
        verdict = "not shown"
    claim = f"within {100 * margin:.0f} %{remark}"
    return Check(subject, claim, f"{estimate.value:.3f}{ends}", estimate.n, verdict)


def contains(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth; a missing interval holds nothing."""
    low, high, rounding = estimate.low, estimate.high, 1e-9 * truth
    return low is not None and high is not None and low - rounding <= truth <= high + rounding
