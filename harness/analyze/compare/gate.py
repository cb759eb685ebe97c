"""Fail a comparison of runs where a case is slower than a threshold allows."""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence

from harness.analyze.compare.run_diff import FEW_BLOCKS, NO_DRIFT, RunDiff
from harness.analyze.versions.gate import answer
from harness.errors import BadComparison
from harness.records import Estimate


@dataclasses.dataclass(frozen=True, slots=True)
class Slower:
    """A case, all cases together, or a comparison that newly failed and has no ratio."""

    run: str
    name: str
    ratio: Estimate | None


@dataclasses.dataclass(frozen=True, slots=True)
class Gate:
    """The answer to `--fail-if-slower`."""

    threshold: float  # how much longer a case may take, as a share of the reference run's time
    rule: str
    crossed: tuple[Slower, ...]
    judged: int  # number of ratios with an interval
    unjudged: int
    sees_from: float | None  # slowdown, as a share, from which half of the ratios would cross


def judge(comparisons: Sequence[RunDiff], share: float) -> Gate:
    """Find the cases that are slower by more than a share, and the new failures.

    Raises BadComparison where no ratio has an interval, so that the gate could never fail.
    """
    ratios = [(diff.run, *named) for diff in comparisons for named in _ratios(diff)]
    failed = [Slower(diff.run, name, None) for diff in comparisons for name in diff.newly_failed]
    halves = [math.log(ratio.value / ratio.low) for *_, ratio in ratios if ratio.low]
    if not halves and not failed:
        raise BadComparison(_nothing_to_judge(comparisons))
    least = 1 / (1 + share)
    slower = [Slower(*one) for one in ratios if answer(one[2].inverse(), share) == "beyond"]
    return Gate(
        threshold=share,
        rule=(
            f"a case (or all cases together) fails if its whole interval lies below {least:.3f}×, "
            "or if it newly failed"
        ),
        crossed=(*failed, *slower),
        judged=len(halves),
        unjudged=len(ratios) - len(halves),
        sees_from=(1 + share) * math.exp(statistics.median(halves)) - 1 if halves else None,
    )


def _ratios(comparison: RunDiff) -> Iterator[tuple[str, Estimate]]:
    for case in comparison.cases:
        yield case.name, case.judged
    if comparison.together:
        yield "all cases together", comparison.together.ratio


_ADVICE = {
    FEW_BLOCKS: "measure both runs at default effort",
    NO_DRIFT: "measure each case against the same reference in both runs",
}


def _nothing_to_judge(comparisons: Sequence[RunDiff]) -> str:
    reasons = {case.reason for comparison in comparisons for case in comparison.cases}
    for reason, advice in _ADVICE.items():
        if reason in reasons:
            return f"--fail-if-slower could never fail here: {reason}; {advice}"
    return "--fail-if-slower could never fail here: the runs have no measured case in common"
