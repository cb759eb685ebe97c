"""Failures, cautions and other notes on a run, one line each."""

from collections.abc import Iterator

from harness import units
from harness.analyze import stats, verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.training import groups
from harness.records import Failure, Measurement, Run
from harness.report.names import comparison


def quick(run: Run) -> Iterator[str]:
    """Warn that quick effort gives no verdicts."""
    if run.protocol.effort == "quick" and run.outcomes:
        yield "Quick effort: no verdicts; two blocks show only the order of magnitude."


def others(analysis: Analysis) -> Iterator[str]:
    """List the comparisons that no table shows."""
    for m in analysis.roles.others():
        estimate = stats.speedup(m)
        ratio = units.ratio_interval(estimate.value, estimate.low, estimate.high)
        verdict = (
            "not judged" if analysis.run.protocol.effort == "quick" else verdicts.verdict(estimate)
        )
        yield f"{m.case.id} against {m.reference.id}: {ratio}, {verdict}"


def failures(run: Run) -> Iterator[str]:
    """One line per failure of a variant, with its reason and the first case that it ended."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for failure in _failed(run):
        key = (failure.case.variant, failure.kind, failure.message)
        found.setdefault(key, []).append(failure.case.id)
    for (_, kind, message), cases in found.items():
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        yield f"Failed: {cases[0]}{more}: {kind}: {message}"


def worker_output(run: Run) -> list[str]:
    """The last output of the workers that failed, each text once."""
    return [*dict.fromkeys(f.log_tail.strip("\n") for f in _failed(run) if f.log_tail.strip())]


def _failed(run: Run) -> list[Failure]:
    return [outcome for outcome in run.outcomes if isinstance(outcome, Failure)]


def cautions(analysis: Analysis) -> Iterator[str]:
    """List the cautions, each with the comparisons and figures behind it."""
    seen: dict[tuple[str, str], dict[str, list[str]]] = {}
    for outcome in analysis.run.outcomes:
        if isinstance(outcome, Measurement):
            for caution in analysis.roles.cautions(outcome):
                figures = seen.setdefault((caution.doubt, caution.advice), {})
                cases = figures.setdefault(caution.figure, [])
                cases.append(comparison(outcome.case, outcome.reference))
    for (doubt, advice), figures in seen.items():
        where = "; ".join(
            f"{', '.join(dict.fromkeys(cases))}{f': {figure}' if figure else ''}"
            for figure, cases in figures.items()
        )
        yield f"Caution: {doubt}; {advice} [{where}]"
    yield from groups.caution_lines(analysis)
