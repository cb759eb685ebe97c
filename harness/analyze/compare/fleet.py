"""Many runs of many machines: each is made small, and machines of one kind are one row per case."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.analyze import stats, verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.compare import case_matching
from harness.analyze.compare.case_matching import Matching
from harness.analyze.compare.drift import Part, RunTimes, own_parts
from harness.analyze.compare.run_diff import CONFIDENCE, machine
from harness.analyze.verdicts import Verdict
from harness.errors import BadComparison
from harness.records import Case, Estimate, Run
from harness.records.protocol import FEWEST_BLOCKS

_MOST_NAMED = 12
_QUANTILES = (0.1, 0.9)  # of runs: between them lie 80 % of the runs


@dataclass(frozen=True, slots=True)
class CaseInRun:
    """A case of a run; logarithms are natural ones of seconds per sample."""

    log: float
    parts: tuple[Part, ...] | None  # of its variance, the hour's drift included; None: unknown
    joules_per_sample: float | None
    speedups: dict[Case, float]  # log of the speedup over each reference


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a comparison of many runs needs of one, with matched cases."""

    id: str
    machine: str
    started_at: str
    protocol: int  # version
    cases: dict[Case, CaseInRun]


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A case on machines of one kind.

    Attributes:
        runs: How many there are of the kind.
        samples_per_s: Geometric mean over the runs, and between what 80 % of them lie.
        of_first: Throughput over that of the fastest kind; its interval is of the runs' scatter, or
            for one run of the drift of its machine. The fastest itself has none.
        over_control: Speedup over the control model of the same run, likewise.
        control_rank: By that speedup.
        price_per_hour: In any currency.
        price_per_million: Of the time for a million samples.
    """

    case: str
    rank: int
    machine: str
    runs: int
    samples_per_s: Estimate
    of_first: Estimate
    verdict: Verdict | None
    over_control: Estimate | None
    control_rank: int | None
    joules_per_sample: float | None
    price_per_hour: float | None
    price_per_million: float | None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run among those of its kind of machine."""

    run: str
    machine: str
    started_at: str
    cases: int
    of_kind: float | None  # median over cases of its throughput over that of the kind


@dataclass(frozen=True, slots=True)
class Fleet:
    """Runs that can be compared, and what was made of them.

    Attributes:
        control: Name of the case that most comparisons have as reference; None without one.
        rows: By case, fastest kind first.
        runs: By kind, slowest run first.
        notes: A line per run that is left out, and one on those that lack cases.
    """

    control: str | None
    rows: list[RankedRow]
    runs: list[RunRow]
    notes: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """The kinds of machines by their mean rank over their cases."""
        ranks: dict[str, list[int]] = defaultdict(list)
        for row in self.rows:
            ranks[row.machine].append(row.rank)
        return sorted(ranks, key=lambda kind: statistics.fmean(ranks[kind]))


def summarize(run: Run) -> RunSummary:
    """Keep of a run what `compare` needs."""
    found = Matching.of([run])
    times = RunTimes.of(run, found)
    joules = (
        {found.match(data.case, run): data.joules_per_sample for data in Analysis(run).cases}
        if run.machine.gpu
        else {}
    )
    return RunSummary(
        id=run.id,
        machine=machine(run),
        started_at=run.started_at,
        protocol=run.protocol.version,
        cases={
            case: CaseInRun(
                log=statistics.fmean(map(statistics.fmean, groups.values())),
                parts=_parts(list(groups.values()), times),
                joules_per_sample=joules.get(case),
                speedups={one: mean.value for one, mean in times.speedups.get(case, {}).items()},
            )
            for case, groups in times.times.items()
        },
    )


def _parts(groups: Sequence[Sequence[float]], times: RunTimes) -> tuple[Part, ...] | None:
    drift = times.time_drift(len(groups))
    if drift is None or min(map(len, groups)) < FEWEST_BLOCKS:
        return None
    return (*own_parts(groups), *drift)


def compare(summaries: Iterable[RunSummary], prices: Mapping[str, float]) -> Fleet:
    """Rank the kinds of machines in each case that two runs or more share.

    Runs of another version of the protocol than most are left out, with a note. Prices are per
    hour, in any currency, by run id; some may be missing.

    Raises:
        BadComparison: a price names no run, runs of one kind have two prices, or no case is shared.
    """
    runs, notes = _comparable(list(summaries))
    counts = Counter(case for run in runs for case in run.cases)
    shared = sorted(
        (c for c, n in counts.items() if n > 1), key=lambda c: (c.variant, c.batch_size)
    )
    if not shared:
        raise BadComparison("the runs share no case: there is nothing to rank")
    notes += _incomplete(runs)
    control = _control(runs)
    names = case_matching.names(dict.fromkeys([*shared, *([control] if control else [])]))
    by_price = _prices(runs, prices)
    kinds: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        kinds[run.machine].append(run)
    pooled = {case: _pooled(case, kinds, control) for case in shared}
    # Bonferroni: all intervals are right together as often as one interval of 95 % alone.
    confidence = 1 - (1 - CONFIDENCE) / max(1, sum(len(its) - 1 for its in pooled.values()))
    rows = [
        row
        for case, its in pooled.items()
        for row in _ranked(names[case], its, confidence, by_price)
    ]
    return Fleet(names[control] if control else None, rows, _runs(kinds, shared), notes)


def _comparable(runs: list[RunSummary]) -> tuple[list[RunSummary], list[str]]:
    versions = Counter(run.protocol for run in runs)
    usual = max(versions, key=lambda version: (versions[version], version), default=0)
    measured = f"the others by {usual}, so its times do not mean the same"
    notes = [
        f"{run.id} is left out: it was measured by protocol version {run.protocol}, {measured}"
        for run in runs
        if run.protocol != usual
    ]
    return [run for run in runs if run.protocol == usual], notes


def _incomplete(runs: Sequence[RunSummary]) -> list[str]:
    """Name runs with fewer cases than most have: they failed in part or were not finished."""
    usual, _ = Counter(len(run.cases) for run in runs).most_common(1)[0]
    few = [f"{run.id} ({len(run.cases)})" for run in runs if len(run.cases) < usual]
    more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
    few_names = ", ".join(few[:_MOST_NAMED])
    return [f"fewer cases than most runs, which have {usual}: {few_names}{more}"] if few else []


def _control(runs: Sequence[RunSummary]) -> Case | None:
    """The case that most comparisons of all runs have as their reference."""
    counts = Counter(
        reference for run in runs for case in run.cases.values() for reference in case.speedups
    )
    return counts.most_common(1)[0][0] if counts else None


def _prices(runs: Sequence[RunSummary], prices: Mapping[str, float]) -> dict[str, float]:
    """Return the price of each kind of machine."""
    kinds = {run.id: run.machine for run in runs}
    if unknown := sorted(set(prices) - set(kinds)):
        known = ", ".join([*kinds][:5]) + (" …" if len(kinds) > 5 else "")
        raise BadComparison(f"a price names no run: {', '.join(unknown)}; the runs are {known}")
    found: dict[str, float] = {}
    for run, price in prices.items():
        if found.setdefault(kinds[run], price) != price:
            raise BadComparison(f"runs of one kind have two prices: {kinds[run]}")
    return found


@dataclass(frozen=True, slots=True)
class _Pool:
    """A case on the runs of one kind of machine."""

    machine: str
    logs: list[float]  # of the seconds per sample
    parts: tuple[Part, ...] | None
    over_control: list[float]  # logs of the speedup, of the runs that have it
    joules: list[float]

    @property
    def log(self) -> float:
        return statistics.fmean(self.logs)


def _pooled(
    case: Case, kinds: Mapping[str, Sequence[RunSummary]], control: Case | None
) -> list[_Pool]:
    """Pool a case by kind of machine, fastest first."""
    found = []
    for kind, runs in kinds.items():
        its = [run for run in runs if case in run.cases]
        if its:
            here = [run.cases[case] for run in its]
            logs = [one.log for one in here]
            parts = here[0].parts
            if len(logs) > 1:
                parts = ((statistics.variance(logs) / len(logs), len(logs) - 1),)
            over = [one for run in its if (one := _over(run, case, control)) is not None]
            joules = [one.joules_per_sample for one in here if one.joules_per_sample is not None]
            found.append(_Pool(kind, logs, parts, over, joules))
    return sorted(found, key=lambda pool: pool.log)


def _over(run: RunSummary, case: Case, control: Case | None) -> float | None:
    """Log of the speedup over the control of the same run: compared directly, else by the times."""
    if control is None or control not in run.cases:
        return None
    direct = run.cases[case].speedups.get(control)
    return run.cases[control].log - run.cases[case].log if direct is None else direct


def _ranked(
    name: str,
    pools: Sequence[_Pool],
    confidence: float,
    prices: Mapping[str, float],
) -> Iterator[RankedRow]:
    first = pools[0]
    by_control = sorted(
        (pool for pool in pools if pool.over_control),
        key=lambda pool: -statistics.fmean(pool.over_control),
    )
    for rank, pool in enumerate(pools, start=1):
        ratio, rate = _ratio(first, pool, confidence), math.exp(-pool.log)
        over, price = pool.over_control, prices.get(pool.machine)
        yield RankedRow(
            case=name,
            rank=rank,
            machine=pool.machine,
            runs=len(pool.logs),
            samples_per_s=_spread([-log for log in pool.logs]),
            of_first=ratio,
            verdict=None if ratio.low is None else verdicts.verdict(ratio),
            over_control=_spread(over) if over else None,
            control_rank=1 + by_control.index(pool) if over else None,
            joules_per_sample=statistics.fmean(pool.joules) if pool.joules else None,
            price_per_hour=price,
            price_per_million=None if price is None else price / 3600 / rate * 1e6,
        )


def _ratio(first: _Pool, pool: _Pool, confidence: float) -> Estimate:
    """Throughput over that of the fastest kind."""
    log, runs = first.log - pool.log, min(len(first.logs), len(pool.logs))
    if pool is first or first.parts is None or pool.parts is None:
        return Estimate(math.exp(log), None, None, runs)
    half = stats.spread((*first.parts, *pool.parts), confidence)
    return stats.exponential(Estimate(log, log - half, log + half, runs, confidence))


def _spread(logs: Sequence[float]) -> Estimate:
    """Return the geometric mean, and between what 80 % of the values lie."""
    mean, n = math.exp(statistics.fmean(logs)), len(logs)
    if n < 2:
        return Estimate(mean, None, None, n)
    low, high = np.exp(np.quantile(logs, _QUANTILES))
    return Estimate(mean, float(low), float(high), n)


def _runs(kinds: Mapping[str, Sequence[RunSummary]], shared: Sequence[Case]) -> list[RunRow]:
    found = []
    for kind, runs in kinds.items():
        means = {
            case: statistics.fmean(logs)
            for case in shared
            if (logs := [run.cases[case].log for run in runs if case in run.cases])
        }
        for run in runs:
            its = [means[case] - run.cases[case].log for case in means if case in run.cases]
            of_kind = math.exp(statistics.median(its)) if its and len(runs) > 1 else None
            found.append(RunRow(run.id, kind, run.started_at, len(run.cases), of_kind))
    return sorted(found, key=lambda row: (row.machine, row.of_kind or 0.0, row.run))
