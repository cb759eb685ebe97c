"""Is a run slower than its reference run by more than is allowed?"""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence

from harness.analyze.compare.run_diff import FEW_BLOCKS, NO_DRIFT, Comparison
from harness.errors import BadComparison
from harness.records import Estimate


@dataclasses.dataclass(frozen=True, slots=True)
class Slower:
    """Something that is slower than the threshold allows.

    Attributes:
        run: Id of the run in which it is.
        name: Of the case, or of all cases together, or of a comparison that failed.
        ratio: Its ratio; None where it failed.
    """

    run: str
    name: str
    ratio: Estimate | None


@dataclasses.dataclass(frozen=True, slots=True)
class Gate:
    """The answer to `--fail-if-slower`.

    Attributes:
        threshold: Share of the reference run's time that a case may take longer.
        rule: What crosses the threshold, in words.
        crossed: What has crossed it.
        judged: How many ratios have an interval.
        unjudged: How many have none.
        sees_from: How much longer a case must take for half of the ratios to show it.
    """

    threshold: float
    rule: str
    crossed: tuple[Slower, ...]
    judged: int
    unjudged: int
    sees_from: float | None


def threshold(text: str) -> float:
    """Read `5`, `5%` or `5 %` as the share 0.05.

    Raises:
        BadComparison: it is no percentage, or `0.05`, which may be one or a share.
    """
    number = text.strip().removesuffix("%").strip()
    try:
        percent = float(number)
    except ValueError:
        percent = math.nan
    if not 0 <= percent < math.inf:
        raise BadComparison(f"--fail-if-slower takes a percentage such as 5%, not {text!r}")
    if percent < 1 and "%" not in text:
        raise BadComparison(
            f"--fail-if-slower {text} may be {percent:g} % or {100 * percent:g} %: "
            f"write {percent:g}% or {100 * percent:g}%"
        )
    return percent / 100


def judge(comparisons: Sequence[Comparison], share: float) -> Gate:
    """Find everything that is shown to be slower by more than a share.

    Raises:
        BadComparison: nothing has an interval, so that nothing could ever be shown.
    """
    ratios = [ratio for comparison in comparisons for _, _, ratio in _ratios(comparison)]
    failed = [
        Slower(comparison.run, name, None)
        for comparison in comparisons
        for name in comparison.newly_failed
    ]
    halves = [math.log(r.value / r.low) for r in ratios if r.low]
    if not halves and not failed:
        raise BadComparison(_nothing_to_judge(comparisons))
    slower = [
        Slower(run, name, ratio)
        for comparison in comparisons
        for run, name, ratio in _ratios(comparison)
        if ratio.high is not None and ratio.high < 1 / (1 + share)
    ]
    return Gate(
        threshold=share,
        rule=(
            f"a case, or all together, whose whole interval lies below {1 / (1 + share):.3f}×, "
            "or that newly failed"
        ),
        crossed=(*failed, *slower),
        judged=len(halves),
        unjudged=len(ratios) - len(halves),
        sees_from=(1 + share) * math.exp(statistics.median(halves)) - 1 if halves else None,
    )


def _ratios(comparison: Comparison) -> Iterator[tuple[str, str, Estimate]]:
    for case in comparison.cases:
        yield comparison.run, case.name, case.judged
    if comparison.together:
        yield comparison.run, "all cases together", comparison.together.ratio


_ADVICE = {
    FEW_BLOCKS: "measure both runs at default effort",
    NO_DRIFT: "measure each case against a reference, in both runs",
}


def _nothing_to_judge(comparisons: Sequence[Comparison]) -> str:
    reasons = {case.reason for comparison in comparisons for case in comparison.cases}
    for reason, advice in _ADVICE.items():
        if reason in reasons:
            return f"--fail-if-slower could never fail here: {reason}; {advice}"
    return "--fail-if-slower could never fail here: the runs have no measured case in common"
