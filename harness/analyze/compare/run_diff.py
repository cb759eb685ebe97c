"""Compare runs case by case; intervals include the drift of the machine between runs.

docs/comparing-runs.md explains the rule and its evidence.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from harness.analyze import stats, verdicts
from harness.analyze.compare import case_matching, differences
from harness.analyze.compare.case_matching import Matching
from harness.analyze.compare.differences import Difference
from harness.analyze.compare.drift import Part, RunTimes, of_another_run, own_parts
from harness.errors import BadComparison
from harness.records import Case, Estimate, Run
from harness.records.protocol import FEWEST_BLOCKS

Judge = Literal["time", "pair"]
CONFIDENCE = 0.95
FEW_BLOCKS = "fewer than three blocks"
NO_DRIFT = "no case is in two comparisons of a run, so the drift of its machine is unknown"
CONTROL_MOVED = "its control moved further than the case"
APART = "measured against other cases than in the reference run"
_FEWEST_CASES = 3


@dataclasses.dataclass(frozen=True, slots=True)
class CaseRatio:
    """A case in two runs; a ratio above 1 means that the other run is faster."""

    name: str  # short name, unique within the comparison of the runs
    case: Case  # as the reference run names it
    reference_seconds: float  # per sample in the reference run
    seconds: float  # per sample in the other run
    time: Estimate  # seconds per sample of the reference run over those of the other run
    against: str | None = None  # name of the control: the case's own reference, in both runs
    pair: Estimate | None = None  # speedup over the control, over that in the reference run
    judged_by: Judge | None = None  # the ratio that decides; None where neither has an interval
    verdict: verdicts.Verdict | None = None
    reason: str = ""  # why there is no verdict, or why the pair does not decide it

    @property
    def judged(self) -> Estimate:
        """The ratio that decides the verdict; that of the times without a verdict."""
        return self.pair if self.judged_by == "pair" and self.pair else self.time


@dataclasses.dataclass(frozen=True, slots=True)
class Together:
    """What all cases of two runs share: the median ratio of the times of those with an interval."""

    ratio: Estimate
    verdict: verdicts.Verdict
    cases: int


@dataclasses.dataclass(frozen=True, slots=True)
class RunDiff:
    """A run compared with the reference run."""

    reference: str
    run: str  # id of the other run
    started_at: tuple[str, str]  # start of the reference run and of the other run
    machines: tuple[str, str]  # CPU, and GPU if any, of the reference run and of the other run
    differences: tuple[Difference, ...]
    judged_by_pairs: bool  # pairs may decide: nothing differs that changes every case's time
    confidence: float  # of each interval; all intervals are right together in 95 % of cases
    cases: tuple[CaseRatio, ...]  # those in both runs, slowest first
    together: Together | None  # None where fewer than three cases have an interval
    only_in_reference: tuple[str, ...] = ()  # cases that the other run did not try
    only_in_run: tuple[str, ...] = ()  # cases that the reference run did not try
    newly_failed: tuple[str, ...] = ()  # comparisons measured in the reference run
    no_longer_failed: tuple[str, ...] = ()  # comparisons measured in the other run
    failed_in_both: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()  # file names that several files of a run share


def compare(reference: Run, others: Sequence[Run]) -> list[RunDiff]:
    """Compare runs with a reference run, case by case.

    Raises BadComparison where the protocols' versions differ, or two runs share no case.
    """
    for run in others:
        differences.check_comparable(reference, run)
    found = Matching.of([reference, *others])
    first, *rest = (RunTimes.of(run, found) for run in (reference, *others))
    for other in rest:
        _check_common(first, other)
    pairs = [_Pair(first, other, found) for other in rest]
    intervals = sum(pair.intervals for pair in pairs)
    # Bonferroni: all intervals are right together as often as one interval of 95 % alone.
    confidence = 1 - (1 - CONFIDENCE) / max(1, intervals)
    names = case_matching.names({case: None for pair in pairs for case in pair.times})
    return [pair.result(names, confidence) for pair in pairs]


@dataclasses.dataclass(frozen=True, slots=True)
class _Ratio:
    """Log of a ratio, and the independent parts of its variance; None: no interval."""

    log: float
    parts: tuple[Part, ...] | None
    blocks: int

    def estimate(self, confidence: float) -> Estimate:
        if self.parts is None:
            return Estimate(math.exp(self.log), None, None, self.blocks, confidence)
        half = stats.spread(self.parts, confidence)
        ends = self.log - half, self.log + half
        return stats.exponential(Estimate(self.log, *ends, self.blocks, confidence))


_Groups = Sequence[Sequence[float]]  # of logarithms: the blocks of each comparison


class _Pair:
    """Two runs; all that does not depend on the number of intervals."""

    def __init__(self, reference: RunTimes, other: RunTimes, found: Matching) -> None:
        self._sides, self._found = (reference, other), found
        self._differences = differences.between(reference.run, other.run, found)
        self._by_pairs = not any(difference.moves_all for difference in self._differences)
        self.times = {case: self._time(case) for case in reference.times if case in other.times}
        logs = [ratio.log for ratio in self.times.values()]
        self._shared = statistics.median(logs) if logs else 0.0
        self._pairs = {case: pair for case in self.times if (pair := self._pair(case))}
        self._judged = [ratio for ratio in self.times.values() if ratio.parts is not None]
        self._together = self._all()
        paired = [pair for _, pair in self._pairs.values() if pair.parts is not None]
        self.intervals = len(self._judged) + len(paired) + (self._together is not None)

    def _time(self, case: Case) -> _Ratio:
        """Average over the comparisons that both runs have; without any, over all of each run.

        The time of a case depends somewhat on the case with which it takes turns.
        """
        here, there = (run.times[case] for run in self._sides)
        common = [key for key in here if key in there]
        groups = [[parts[key] for key in common or parts] for parts in (here, there)]
        drifts = (run.time_drift(len(its)) for run, its in zip(self._sides, groups, strict=True))
        return _ratio(groups[0], groups[1], _both(drifts))

    def _pair(self, case: Case) -> tuple[Case, _Ratio] | None:
        """Choose the control: of the references in both runs, the one whose time moved least."""
        here, there = (run.speedups.get(case, {}) for run in self._sides)
        common = [reference for reference in here if reference in there]
        if not common:
            return None
        against = min(common, key=self._moved)
        its = there[against], here[against]
        log, blocks = its[0].value - its[1].value, min(one.n for one in its)
        parts = tuple(map(of_another_run, its)) if blocks >= FEWEST_BLOCKS else None
        return against, _Ratio(log, parts, blocks)

    def _all(self) -> _Ratio | None:
        """Median over the cases; its variance is pi/2 times that of a mean, and the drift's."""
        drift = _both(run.time_drift(math.inf) for run in self._sides)
        if drift is None or len(self._judged) < _FEWEST_CASES:
            return None
        logs = [ratio.log for ratio in self._judged]
        own = math.pi / 2 * statistics.variance(logs) / len(logs), len(logs) - 1
        blocks = min(ratio.blocks for ratio in self._judged)
        return _Ratio(statistics.median(logs), (own, *drift), blocks)

    def result(self, names: Mapping[Case, str], confidence: float) -> RunDiff:
        """Make the result with intervals of that confidence."""
        here, there = self._sides
        rows = [self._row(case, names, confidence) for case in self.times]
        all_names = case_matching.names({**here.own, **there.own})
        together = None
        if self._together:
            ratio = self._together.estimate(confidence)
            together = Together(ratio, verdicts.verdict(ratio), len(self._judged))

        def comparisons(keys: Iterable[tuple[Case, Case]]) -> tuple[str, ...]:
            return tuple(sorted(_against(all_names, *key) for key in keys))

        return RunDiff(
            reference=here.run.id,
            run=there.run.id,
            started_at=(here.run.started_at, there.run.started_at),
            machines=(machine(here.run), machine(there.run)),
            differences=self._differences,
            judged_by_pairs=self._by_pairs,
            confidence=confidence,
            cases=tuple(sorted(rows, key=lambda row: row.judged.value)),
            together=together,
            only_in_reference=tuple(all_names[c] for c in here.own if c not in there.own),
            only_in_run=tuple(all_names[c] for c in there.own if c not in here.own),
            newly_failed=comparisons(there.failed & here.measured),
            no_longer_failed=comparisons(here.failed & there.measured),
            failed_in_both=comparisons(here.failed & there.failed),
            ambiguous=tuple(sorted(self._found.ambiguous)),
        )

    def _row(self, case: Case, names: Mapping[Case, str], confidence: float) -> CaseRatio:
        here, there = self._sides
        time = self.times[case].estimate(confidence)
        against, paired = self._pairs.get(case, (None, None))
        pair = paired.estimate(confidence) if paired else None
        judged_by, reason = self._judge(case, time, pair)
        judged = {"time": time, "pair": pair}.get(judged_by or "")
        return CaseRatio(
            name=names[case],
            case=here.own[case],
            reference_seconds=_seconds(here.times[case]),
            seconds=_seconds(there.times[case]),
            time=time,
            against=names[against] if against else None,
            pair=pair,
            judged_by=judged_by,
            verdict=verdicts.verdict(judged) if judged else None,
            reason=reason,
        )

    def _judge(self, case: Case, time: Estimate, pair: Estimate | None) -> tuple[Judge | None, str]:
        """Choose the ratio that decides.

        The ratio of times, if it is conclusive despite drift between runs; otherwise the pair,
        which drift affects less. A pair that says faster or slower does not count where its
        control moved further than the case from the median of all cases.
        """
        shown = ("faster", "slower")
        if time.low is not None and verdicts.verdict(time) in shown:
            return "time", ""
        if self._by_pairs and pair is not None and pair.low is not None:
            against, _ = self._pairs[case]
            if verdicts.verdict(pair) not in shown or self._moved(against) <= self._moved(case):
                return "pair", ""
            return None if time.low is None else "time", CONTROL_MOVED
        if time.low is None:
            return None, FEW_BLOCKS if self.times[case].blocks < FEWEST_BLOCKS else NO_DRIFT
        here, there = (run.times[case].keys() for run in self._sides)
        return "time", APART if here.isdisjoint(there) else ""

    def _moved(self, case: Case) -> float:
        """Distance of the log ratio from the median of all cases, rounded for ties."""
        return round(abs(self.times[case].log - self._shared), 12)


def _ratio(above: _Groups, below: _Groups, drift: Sequence[Part] | None) -> _Ratio:
    """Return the ratio of geometric means over the groups of two runs."""
    means = [statistics.fmean(map(statistics.fmean, groups)) for groups in (above, below)]
    log, blocks = means[0] - means[1], min(map(len, (*above, *below)))
    if drift is None or blocks < FEWEST_BLOCKS:
        return _Ratio(log, None, blocks)
    return _Ratio(log, (*own_parts(above), *own_parts(below), *drift), blocks)


def _both(drifts: Iterable[list[Part] | None]) -> list[Part] | None:
    """Add up the drift of two runs; None where that of one is not known."""
    known = [drift for drift in drifts if drift is not None]
    return [*known[0], *known[1]] if len(known) == 2 else None


def _check_common(reference: RunTimes, other: RunTimes) -> None:
    if reference.own.keys().isdisjoint(other.own):
        raise BadComparison(
            f"{reference.run.id} and {other.run.id} have no case in common; "
            f"the first has {_few(reference)}, the second {_few(other)}"
        )


def _few(times: RunTimes) -> str:
    ids = [case.id for case in times.own.values()]
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return (", ".join(ids[:3]) or "none") + more


def _seconds(parts: Mapping[tuple[Case, Case], Sequence[float]]) -> float:
    """Geometric mean over comparisons of the seconds per sample."""
    return math.exp(statistics.fmean(map(statistics.fmean, parts.values())))


def machine(run: Run) -> str:
    """Name the CPU, the number of usable CPUs, and the GPU if any."""
    its = run.machine
    gpu = f"; {its.gpu}" if its.gpu else ""
    return f"{its.cpu}, {its.usable_cpus} CPUs{gpu}"


def _against(names: Mapping[Case, str], case: Case, reference: Case) -> str:
    return f"{names[case]} against {'itself' if case == reference else names[reference]}"
