"""Rank runs of several machines: throughput, energy and price of each case that they share."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analyze import verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.cases import CaseData
from harness.analyze.compare import case_matching, run_diff
from harness.analyze.compare.case_matching import Matching
from harness.analyze.verdicts import Verdict
from harness.errors import BadComparison
from harness.records import Case, Estimate, Run

_Measured = Mapping[str, Mapping[Case, CaseData]]  # by run id
_Ratios = dict[tuple[str, Case], Estimate]  # by run id


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A case on one machine."""

    case: str
    rank: int
    run: str
    machine: str
    samples_per_s: Estimate
    of_first: Estimate  # throughput over the fastest run's, with drift as in `run_diff.compare`
    verdict: Verdict | None
    joules_per_sample: float | None
    price_per_hour: float | None  # in any currency
    price_per_million: float | None  # price of the time for a million samples


def ranking(runs: Sequence[Run], prices: Mapping[str, float]) -> list[RankedRow]:
    """Rank two runs or more in each case that two of them share, fastest first.

    Prices are per hour, in any currency, by run id; some may be missing. Raises BadComparison where
    a price names no run, or the runs share no case.
    """
    unknown = sorted(set(prices) - {run.id for run in runs})
    if unknown:
        known = ", ".join(run.id for run in runs)
        raise BadComparison(f"a price names no run: {', '.join(unknown)}; the runs are {known}")
    found = Matching.of(runs)
    measured = {
        run.id: {found.match(data.case, run): data for data in Analysis(run).cases} for run in runs
    }
    cases = dict.fromkeys(case for its in measured.values() for case in its)
    shared = [case for case in cases if sum(case in its for its in measured.values()) > 1]
    if not shared:
        raise BadComparison("the runs share no case: there is nothing to rank")
    names, rows = case_matching.names(shared), list[RankedRow]()
    ratios: dict[str, _Ratios] = {}  # by the run that the others are compared with
    for case in shared:
        having = [run for run in runs if case in measured[run.id]]
        having.sort(key=lambda run: measured[run.id][case].step.value)
        first = having[0]
        if first.id not in ratios:
            ratios[first.id] = _over(first, runs, measured, found)
        for rank, run in enumerate(having, start=1):
            data, price = measured[run.id][case], prices.get(run.id)
            rate, ratio = _rate(case, data.step), ratios[first.id][run.id, case]
            rows.append(
                RankedRow(
                    case=names[case],
                    rank=rank,
                    run=run.id,
                    machine=run_diff.machine(run),
                    samples_per_s=rate,
                    of_first=ratio,
                    verdict=None if ratio.low is None else verdicts.verdict(ratio),
                    joules_per_sample=data.joules_per_sample,
                    price_per_hour=price,
                    price_per_million=price and price / 3600 / rate.value * 1e6,
                )
            )
    return rows


def order(rows: Sequence[RankedRow]) -> list[str]:
    """Sort the runs by their mean rank over their cases."""
    ranks: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        ranks[row.run].append(row.rank)
    return sorted(ranks, key=lambda run: statistics.fmean(ranks[run]))


def _rate(case: Case, step: Estimate) -> Estimate:
    low, high = (end and case.batch_size / end for end in (step.high, step.low))
    return Estimate(case.batch_size / step.value, low, high, step.n)


def _over(first: Run, runs: Sequence[Run], measured: _Measured, found: Matching) -> _Ratios:
    """Compare runs with the fastest run of a case; itself is 1 without an interval."""
    its = measured[first.id]
    others = [r for r in runs if r is not first and not its.keys().isdisjoint(measured[r.id])]
    ratios = {(first.id, case): Estimate(1.0, None, None, 0) for case in its}
    for diff in run_diff.compare(first, others):
        ratios |= {(diff.run, found.match(row.case, first)): row.time for row in diff.cases}
    return ratios
