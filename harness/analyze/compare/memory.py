"""Peak memory of the cases of two runs; the machine's hour does not move it."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.compare import case_matching
from harness.analyze.compare.case_matching import Matching
from harness.analyze.versions import changes
from harness.analyze.versions.gate import Gate, of_ratios
from harness.errors import BadComparison
from harness.records import Case, Estimate, Run


def judge(first: Run, others: Sequence[Run], share: float) -> Gate:
    """Judge the peaks of runs against those of the first by a threshold.

    Raises BadComparison where no ratio has an interval, so that the gate could never fail.
    """
    found = [(f"{run.id}: {name}", ratio) for run in others for name, ratio in ratios(first, run)]
    if not any(ratio.low is not None for _, ratio in found):
        raise BadComparison(
            "--fail-if-more-memory could never fail here: no case of both runs has three workers"
        )
    return of_ratios("more memory", share, found)


def ratios(first: Run, other: Run) -> Iterator[tuple[str, Estimate]]:
    """Yield the peak of each case in the other run over that in the first, by its name.

    Over the workers of each run, which are independent of those of the other.
    """
    found = Matching.of([first, other])
    before, after = _peaks(first, found), _peaks(other, found)
    names = case_matching.names([case for case in before if case in after])
    for case, name in names.items():
        groups = [after[case], [-log for log in before[case]]]
        yield name, stats.exponential(stats.sum_interval(groups))


def _peaks(run: Run, found: Matching) -> dict[Case, list[float]]:
    """Return the logarithm of the peak of every worker of a case."""
    logs: dict[Case, list[float]] = defaultdict(list)
    for data in Analysis(run).cases:
        sizes = (changes.peak_bytes(start, data.case) for start in data.starts)
        logs[found.match(data.case, run)] += [math.log(size) for size in sizes if size]
    return {case: its for case, its in logs.items() if its}
