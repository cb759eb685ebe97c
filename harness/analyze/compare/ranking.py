"""Runs from many machines, ranked: throughput, energy and price of each case they share."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.analyze import verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.cases import CaseData
from harness.analyze.compare import case_matching, run_diff
from harness.analyze.compare.case_matching import Matching
from harness.errors import BadComparison
from harness.records import Case, Run

COLUMNS = [
    "case", "rank", "run", "machine", "samples_per_s", "samples_per_s_low", "samples_per_s_high",
    "of_first", "of_first_low", "of_first_high", "verdict", "joules_per_sample", "price_per_hour",
    "price_per_million",
]  # fmt: skip


def fleet(runs: Sequence[Run], prices: Mapping[str, float]) -> pd.DataFrame:
    """One row a case and run, the fastest run of a case first.

    `of_first` is the throughput over that of the case's fastest run, with the interval that
    `compare` gives times, in which the hour of both machines is a part. The price is that of the
    time alone, per million samples.

    Args:
        runs: At least two.
        prices: Per hour, in any currency, by a run's id; a run without has no price.

    Raises:
        BadComparison: a price is of no run, or the runs share no case.
    """
    unknown = sorted(set(prices) - {run.id for run in runs})
    if unknown:
        known = ", ".join(run.id for run in runs)
        raise BadComparison(f"a price is of no run here: {', '.join(unknown)}; there are {known}")
    found = Matching.of(runs)
    measured = {run.id: _measured(run, found) for run in runs}
    cases = dict.fromkeys(case for its in measured.values() for case in its)
    shared = [case for case in cases if sum(case in its for its in measured.values()) > 1]
    if not shared:
        raise BadComparison("the runs share no case: there is nothing to rank")
    names = case_matching.names(shared)
    ratios = _Ratios(runs, measured)
    rows = []
    for case in shared:
        having = [run for run in runs if case in measured[run.id]]
        having.sort(key=lambda run: measured[run.id][case].step.value)
        for rank, run in enumerate(having, start=1):
            data, price = measured[run.id][case], prices.get(run.id)
            rate = _rate(case, data.step.value)
            rows.append(
                {
                    "case": names[case],
                    "rank": rank,
                    "run": run.id,
                    "machine": run_diff.machine(run),
                    "samples_per_s": rate,
                    "samples_per_s_low": data.step.high and _rate(case, data.step.high),
                    "samples_per_s_high": data.step.low and _rate(case, data.step.low),
                    **ratios.of(case, run, having[0], found),
                    "joules_per_sample": data.joules_per_sample,
                    "price_per_hour": price,
                    "price_per_million": price and price / 3600 / rate * 1e6,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _rate(case: Case, step_seconds: float) -> float:
    return case.batch_size / step_seconds


def _measured(run: Run, found: Matching) -> dict[Case, CaseData]:
    return {found.match(data.case, run): data for data in Analysis(run).cases}


class _Ratios:
    """Comparisons of each run with the one that is first for a case, made once."""

    def __init__(self, runs: Sequence[Run], measured: Mapping[str, Mapping[Case, Any]]) -> None:
        self._runs, self._measured = runs, measured
        self._known: dict[str, dict[tuple[str, Case], run_diff.CaseRatio]] = {}

    def of(self, case: Case, run: Run, first: Run, found: Matching) -> dict[str, Any]:
        """Columns of the ratio; 1 without an interval for the first itself."""
        if run is first:
            return {"of_first": 1.0}
        if first.id not in self._known:
            its = self._measured[first.id].keys()
            others = [
                other
                for other in self._runs
                if other is not first and not its.isdisjoint(self._measured[other.id])
            ]
            self._known[first.id] = {
                (comparison.run, found.match(row.case, first)): row
                for comparison in run_diff.compare(first, others)
                for row in comparison.cases
            }
        ratio = self._known[first.id][run.id, case].time
        return {
            "of_first": ratio.value,
            "of_first_low": ratio.low,
            "of_first_high": ratio.high,
            "verdict": None if ratio.low is None else verdicts.verdict(ratio),
        }


def order(frame: pd.DataFrame) -> list[str]:
    """The runs, the one with the best mean rank over its cases first."""
    groups = frame.groupby("run", sort=False)
    ranks = {str(run): statistics.fmean(rows["rank"]) for run, rows in groups}
    return sorted(ranks, key=lambda run: ranks[run])
