"""The speedup of each case over its reference, run after run, and where the speedup changed.

Both were measured in the same blocks, so that a slow hour moves them alike; times of different
hours do not compare, and raise no alarm.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.compare import case_matching
from harness.analyze.compare.case_matching import Matching
from harness.analyze.compare.run_diff import machine
from harness.analyze.history import change_points
from harness.errors import BadComparison
from harness.records import Case, Estimate, Run

Key = tuple[Case, Case]  # a case and its reference, matched between runs


@dataclass(frozen=True, slots=True)
class RunPoints:
    """What a history needs of one run."""

    id: str
    machine_id: str
    machine: str
    started_at: str
    protocol: int  # version
    commit: str | None
    libraries: dict[str, str]
    speedups: dict[Key, tuple[Estimate, float]]  # and the standard error of the logarithm
    seconds: dict[Case, float]  # per sample; shown, and never judged


@dataclass(frozen=True, slots=True)
class Point:
    """A case in one run."""

    run: str
    started_at: str
    commit: str | None
    speedup: Estimate
    sample_us: float | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the speedup.

    Attributes:
        index: Of the first point after the change.
        before: The last run before it.
        after: The first run after it.
        ratio: Speedup after over speedup before: below 1 the case became slower.
        commits: Before and after, where they are known and differ.
        libraries: `keras 3.14.0 → 3.15.1`, of those whose version differs.
    """

    index: int
    before: str
    after: str
    ratio: Estimate
    commits: str | None
    libraries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A case on one machine."""

    machine: str
    case: str
    reference: str
    points: tuple[Point, ...]
    changes: tuple[Change, ...]
    levels: tuple[float, ...]  # speedup of each segment between changes


@dataclass(frozen=True, slots=True)
class History:
    """The series of all runs, and a line per run that is left out."""

    series: list[Series]
    runs: int
    notes: list[str] = field(default_factory=list)


def summarize(run: Run) -> RunPoints:
    """Keep of a run what a history needs."""
    analysis, found = Analysis(run), Matching.of([run])
    roles = analysis.roles
    speedups: dict[Key, tuple[Estimate, float]] = {}
    for m in roles.measured:
        if m.case == m.reference or m.case.version or m.reference.version:
            continue
        mean = analysis.speedups.mean(m)
        if len(stats.logs_by_block(m)) > 1:
            key = found.match(m.case, run), found.match(m.reference, run)
            speedups[key] = analysis.speedups.speedup(m), math.sqrt(mean.variance)
    return RunPoints(
        id=run.id,
        machine_id=run.machine.id,
        machine=machine(run),
        started_at=run.started_at,
        protocol=run.protocol.version,
        commit=run.machine.commit,
        libraries=run.machine.libraries,
        speedups=speedups,
        seconds={
            found.match(data.case, run): data.step.value / data.case.batch_size
            for data in analysis.cases
        },
    )


def collect(runs: Iterable[RunPoints], notes: Sequence[str] = ()) -> History:
    """Put the runs of each machine in order, and find what changed.

    Raises:
        BadComparison: no comparison is in two runs of one machine.
    """
    ordered = sorted(runs, key=lambda run: (run.started_at, run.id))
    said = list(notes)
    usual = max((run.protocol for run in ordered), default=0)
    older = [run.id for run in ordered if run.protocol != usual]
    if older:
        said.append(f"left out, measured by an earlier protocol: {', '.join(older)}")
    by_machine: dict[str, list[RunPoints]] = defaultdict(list)
    for run in ordered:
        if run.protocol == usual:
            by_machine[run.machine_id].append(run)
    series = [one for its in by_machine.values() for one in _of_machine(its)]
    if not series:
        raise BadComparison(
            "no comparison is in two runs of one machine, so there is no history; a run needs a "
            "case beside its reference, and two blocks or more"
        )
    return History(series, len(ordered), said)


def _of_machine(runs: Sequence[RunPoints]) -> Iterator[Series]:
    keys = dict.fromkeys(key for run in runs for key in run.speedups)
    names = case_matching.names(dict.fromkeys(case for key in keys for case in key))
    for case, reference in keys:
        its = [run for run in runs if (case, reference) in run.speedups]
        if len(its) > 1:
            yield _series((case, reference), its, names)


def _series(key: Key, runs: Sequence[RunPoints], names: Mapping[Case, str]) -> Series:
    case, reference = key
    logs = [math.log(run.speedups[key][0].value) for run in runs]
    errors = [run.speedups[key][1] for run in runs]
    found = change_points.find(logs, errors)
    levels = change_points.levels(logs, errors, [change.index for change in found])
    seconds = [run.seconds.get(case) for run in runs]
    return Series(
        machine=runs[-1].machine,
        case=names[case],
        reference=names[reference],
        points=tuple(
            Point(
                run.id,
                run.started_at,
                run.commit,
                run.speedups[key][0],
                None if time is None else 1e6 * time,
            )
            for run, time in zip(runs, seconds, strict=True)
        ),
        changes=tuple(_change(one, runs) for one in found),
        levels=tuple(map(math.exp, levels)),
    )


def _change(found: change_points.ChangePoint, runs: Sequence[RunPoints]) -> Change:
    before, after = runs[found.index - 1], runs[found.index]
    known = before.commit and after.commit and before.commit != after.commit
    names = {**before.libraries, **after.libraries}
    pairs = {name: (before.libraries.get(name), after.libraries.get(name)) for name in names}
    return Change(
        index=found.index,
        before=before.id,
        after=after.id,
        ratio=stats.exponential(found.size),
        commits=f"{before.commit}..{after.commit}" if known else None,
        libraries=tuple(
            f"{name} {was or 'none'} → {its or 'none'}"
            for name, (was, its) in pairs.items()
            if was != its
        ),
    )
