"""Sum up a run in one sentence."""

from collections import Counter
from collections.abc import Iterator

from harness import units
from harness.analyze import verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.devices import scaling
from harness.analyze.training.groups import groups
from harness.analyze.verdicts import MARGIN, Verdict
from harness.records import Estimate, Failure, Measurement
from harness.report.names import comparison, differing
from harness.tables.declare import grouped, speedup_of
from harness.tables.explain.layers import LAYERS
from harness.tables.explain.layers import finding as layer_finding
from harness.tables.labels import case_names
from harness.tables.levers import ALONE, LEVERS, STACK
from harness.tables.scaling import SCALING
from harness.tables.training.accuracy import ACCURACY, EFFECTIVE_SPEEDUP, PairRow, points

_VERDICTS: dict[Verdict, str] = {
    "faster": "faster",
    "slower": "slower",
    "same": f"the same within {100 * MARGIN:g} %",
    "small difference": "with a small difference",
    "undecided": "undecided",
}
_SHOWN = ("better", "worse")  # verdicts on a difference of accuracy


def sentence(analysis: Analysis) -> str:
    """Sum up the comparisons and trainings of a run, and count the failures."""
    failed = sum(isinstance(outcome, Failure) for outcome in analysis.run.outcomes)
    topics = (_comparisons, _tunings, _scaling, _trainings, _layers)
    clauses = [clause for clauses_of in topics for clause in clauses_of(analysis)]
    if failed:
        clauses.append(f"{failed} failed")
    return units.capital("; ".join(clauses) or "nothing was measured") + "."


def _comparisons(analysis: Analysis) -> Iterator[str]:
    apart = analysis.roles.tuning_keys | {m.key for m in scaling.compared(analysis)}
    outcomes = [o for o in analysis.run.outcomes if o.key not in apart]
    measured = [o for o in outcomes if isinstance(o, Measurement)]
    compared = [m for m in measured if m.case != m.reference]
    many = units.plural(len(compared), "comparison")
    if measured and not compared:
        yield "only the reference was measured, against itself"
    elif compared and analysis.run.protocol.effort == "quick":
        yield f"{many} at quick effort, which gives no verdicts"
    elif compared:
        estimates = [(analysis.speedups.speedup(m), m) for m in compared]
        found = Counter(verdicts.verdict(estimate) for estimate, _ in estimates)
        if set(found) == {"undecided"}:
            yield f"{many}, all undecided"
            return
        yield f"{many}: " + ", ".join(
            f"{found[verdict]} {words}" for verdict, words in _VERDICTS.items() if found[verdict]
        )
        yield from _largest(estimates, analysis)


def _layers(analysis: Analysis) -> Iterator[str]:
    """Where the time of a step goes."""
    found = grouped(analysis.rows(LAYERS), lambda row: row.case)
    names = case_names(found)
    yield from (f"{names[case]}: {layer_finding(its)}" for case, its in found.items())


def _tunings(analysis: Analysis) -> Iterator[str]:
    """Say what settings bring, and their best combination."""
    rows = analysis.rows(LEVERS)
    for tuning in analysis.run.tunings:
        its = [row for row in rows if row.plain == tuning.plain.id]
        tried = sum(row.what == ALONE and row.status == "measured" for row in its)
        where = f"{tuning.plain.variant} at batch {tuning.plain.batch_size}"
        many = f"{units.plural(tried, 'setting')} tried on {where}"
        stack = next((row for row in its if row.what == STACK), None)
        if stack is not None and stack.judged is not None:
            yield f"{many}: {stack.lever} is {speedup_of(stack.judged.speedup)} as fast as without"
        elif tuning.stacked is not None:
            yield f"{many}: none is faster"
        else:
            yield many


def _scaling(analysis: Analysis) -> Iterator[str]:
    """What several devices bring; of logical ones that they work."""
    rows = analysis.rows(SCALING)
    checks = [row for row in rows if row.functional]
    if checks:
        many = units.plural(len(checks), "comparison")
        yield f"{many} of several devices with one, a functional check"
    for row in rows:
        if not row.functional:
            found, share = speedup_of(row.judged.speedup), 100 * row.efficiency.value
            where = f"{row.case.variant} on {row.case.replicas} devices"
            yield f"{row.kind} scaling of {where}: {found}, {share:.0f} % efficient"


def _largest(estimates: list[tuple[Estimate, Measurement]], analysis: Analysis) -> Iterator[str]:
    """Name the largest speedup; where nothing is faster, the largest slowdown."""
    for verdict, what, choose in (("faster", "speedup", max), ("slower", "slowdown", min)):
        shown = [pair for pair in estimates if verdicts.verdict(pair[0]) == verdict]
        if shown:
            estimate, m = choose(shown, key=lambda pair: pair[0].value)
            name = comparison(m.case, m.reference) + _elsewhere(m, analysis)
            yield f"the largest {what} is {speedup_of(estimate)}, {name}"
            return


def _elsewhere(m: Measurement, analysis: Analysis) -> str:
    """Name device and backend where the run has several and the comparison does not say."""
    cases = [outcome.case for outcome in analysis.run.outcomes]
    several = [a for a in ("device", "backend") if len({getattr(case, a) for case in cases}) > 1]
    said = differing(m.case, m.reference)
    told = [getattr(m.case, axis) for axis in several if axis not in said]
    return f" ({', '.join(told)})" if told else ""


def _trainings(analysis: Analysis) -> Iterator[str]:
    if not analysis.run.trainings:
        return
    found = groups(analysis)
    seeds = units.plural(max(map(len, found)), "seed")
    yield f"full training of {units.plural(len(found), 'model')} with {seeds}"
    yield from _accuracies(analysis)
    yield from _effective(analysis)


def _accuracies(analysis: Analysis) -> Iterator[str]:
    """The largest difference of test accuracy that is shown."""
    judged = [row for row in analysis.rows(ACCURACY) if row.found.verdict is not None]
    shown = [
        (abs(row.found.difference.value), row)
        for row in judged
        if row.found.difference and row.found.verdict in _SHOWN
    ]
    if shown:
        _, largest = max(shown, key=lambda pair: pair[0])
        many = f"{len(shown)} of {len(judged)}"
        which = f"{points(largest.found.difference)} points, {_pair(largest)}"
        yield f"a difference of test accuracy shown in {many}, the largest {which}"
    elif judged:
        yield f"no difference shown in test accuracy ({len(judged)} compared)"


def _effective(analysis: Analysis) -> Iterator[str]:
    """The largest speedup to the same accuracy that is shown."""
    judged = [row for row in analysis.rows(EFFECTIVE_SPEEDUP) if row.found.verdict is not None]
    goal = f"in the time to test accuracy {analysis.run.target_accuracy:g}" if judged else ""
    faster = [
        (row.found.speedup.value, row)
        for row in judged
        if row.found.verdict == "faster" and row.found.speedup
    ]
    if faster:
        _, largest = max(faster, key=lambda pair: pair[0])
        ratio = speedup_of(largest.found.speedup)
        yield f"the largest speedup shown {goal} is {ratio}, {_pair(largest)}"
    elif any(row.found.verdict == "slower" for row in judged):
        yield f"no speedup shown {goal}"
    elif judged:
        yield f"no difference shown {goal}"


def _pair(row: PairRow) -> str:
    case, reference = (f"{c.variant} at batch {c.batch_size}" for c in (row.case, row.reference))
    return f"{case} against {reference}"
