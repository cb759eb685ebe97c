"""Failures, cautions and other notes on a run, one line each."""

from collections.abc import Iterator

from harness import units
from harness.analyze import rounds, verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.training import groups
from harness.records import Failure, Measurement, Run
from harness.report.names import comparison
from harness.tables.declare import grouped, speedup_of


def quick(run: Run) -> Iterator[str]:
    """Warn that quick effort gives no verdicts."""
    if run.protocol.effort == "quick" and run.outcomes:
        yield "Quick effort: no verdicts; one block shows only the order of magnitude."


def duration(run: Run) -> Iterator[str]:
    """Say how long a run took, and which shares of that it timed; earlier runs do not know."""
    if not run.wall_seconds:
        return
    timed = rounds.timed(run)
    parts = {"rounds": timed.rounds, "parts of a fit": timed.fits, "epochs": timed.epochs}
    shares = [
        f"{units.percent(100 * seconds / run.wall_seconds)} timed {name}"
        for name, seconds in parts.items()
        if seconds
    ]
    told = f": {', '.join(shares)}, the rest starts and warm-up" if shares else ""
    yield f"Measured in {units.seconds(run.wall_seconds)}{told}."


def others(analysis: Analysis) -> Iterator[str]:
    """List the comparisons that no table shows."""
    judged = analysis.run.protocol.effort != "quick"
    for m in analysis.roles.others():
        estimate = analysis.speedups.speedup(m)
        verdict = verdicts.verdict(estimate) if judged else "not judged"
        yield f"{m.case.id} against {m.reference.id}: {speedup_of(estimate)}, {verdict}"


def failures(run: Run) -> Iterator[str]:
    """One line per failure of a variant, with its reason and the first case that it ended."""
    alike = grouped(_failed(run), lambda f: (f.case.variant, f.kind, f.message))
    for first, *rest in alike.values():
        more = f" and {len(rest)} more" if rest else ""
        yield f"Failed: {first.case.id}{more}: {first.kind}: {first.message}"


def worker_output(run: Run) -> list[str]:
    """The last output of the workers that failed, each text once."""
    return [*dict.fromkeys(f.log_tail.strip("\n") for f in _failed(run) if f.log_tail.strip())]


def _failed(run: Run) -> list[Failure]:
    return [outcome for outcome in run.outcomes if isinstance(outcome, Failure)]


def cautions(analysis: Analysis) -> Iterator[str]:
    """List the cautions, each with the comparisons and figures behind it."""
    seen = [
        (caution, comparison(m.case, m.reference))
        for m in analysis.run.outcomes
        if isinstance(m, Measurement)
        for caution in analysis.roles.cautions(m)
    ]
    for (doubt, advice), its in grouped(seen, lambda one: (one[0].doubt, one[0].advice)).items():
        where = []
        for figure, alike in grouped(its, lambda one: one[0].figure).items():
            cases = ", ".join(dict.fromkeys(name for _, name in alike))
            where.append(f"{cases}: {figure}" if figure else cases)
        yield f"Caution: {doubt}; {advice} [{'; '.join(where)}]"
    yield from groups.caution_lines(analysis)
