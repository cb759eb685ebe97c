"""The final summary: tables, failures, cautions, paths."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from harness import units
from harness.analyze import convergence, stats, summary
from harness.records import Case, Failure, Measurement, Run
from harness.report import formats
from harness.report.columns import VERDICTS
from harness.report.table import Table


def show(console: Console, run: Run, tables: list[Table], paths: list[Path]) -> None:
    """Print the final summary: tables, failures, cautions, then the paths written."""
    console.print()
    console.rule(f"Training benchmark {run.id}", align="left", style="default")
    if tables:
        console.print(tables[0].caption, markup=False, highlight=False)
    for table in tables:
        if table.rows:
            console.print()
            console.print(formats.to_rich(table, console.width))
    console.print()
    for line in [
        *_others(run),
        *_first(_failures(run), "failures"),
        *_first(_cautions(run), "cautions"),
        *_first(convergence.cautions(run), "cautions"),
        *_quick(run),
    ]:
        console.print(line, markup=False, highlight=False)
    console.print("Written to:")
    for folder in sorted({path.parent for path in paths}):
        console.print(f"  {_short(folder)}", markup=False, highlight=False, soft_wrap=True)


def _first(lines: Iterable[str], what: str) -> Iterator[str]:
    """The first of what the files have, too."""
    found = list(lines)
    yield from map(formats.shortened, found[: formats.MOST_ROWS])
    if len(found) > formats.MOST_ROWS:
        yield f"{units.count(len(found) - formats.MOST_ROWS)} more {what} in the files"


def _short(folder: Path) -> Path:
    """Name a folder from the current one where it lies within."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _others(run: Run) -> Iterator[str]:
    for m in summary.others(run):
        estimate = stats.speedup(m)
        ratio = units.ratio_interval(estimate.value, estimate.low, estimate.high)
        verdict = "not judged" if run.protocol.effort == "quick" else stats.verdict(estimate)
        yield f"{m.case.id} against {m.reference.id}: {ratio}, {VERDICTS.get(verdict, verdict)}"


def _failures(run: Run) -> Iterator[str]:
    for outcome in run.outcomes:
        if isinstance(outcome, Failure):
            yield f"Failed: {outcome.case.id}: {outcome.kind}: {outcome.message}"


def _cautions(run: Run) -> Iterator[str]:
    """One line a doubt, with the cases and their figures behind it."""
    seen: dict[tuple[str, str], dict[str, list[str]]] = {}
    for outcome in run.outcomes:
        if isinstance(outcome, Measurement):
            for caution in summary.doubts(outcome, run):
                figures = seen.setdefault((caution.doubt, caution.advice), {})
                cases = figures.setdefault(caution.figure, [])
                cases.append(_comparison(outcome.case, outcome.reference))
    for (doubt, advice), figures in seen.items():
        where = "; ".join(
            f"{', '.join(dict.fromkeys(cases))}{f': {figure}' if figure else ''}"
            for figure, cases in figures.items()
        )
        yield f"Caution: {doubt}; {advice} [{where}]"


def _comparison(case: Case, reference: Case) -> str:
    """Name a comparison by what its sides differ in."""
    name = f"{case.variant} {case.batch_size}"
    if case == reference:
        return f"{name} against itself"
    for axis, words in _DIFFERENCES.items():
        here, there = getattr(case, axis), getattr(reference, axis)
        if here != there:
            return name + words.format(here, there)
    return f"{case.id} against {reference.id}"


_DIFFERENCES = {
    "variant": " against {1}",
    "batch_size": " against {1}",
    "device": " on the {0} against the {1}",
    "backend": " with {0} against {1}",
    "threads": " on {0} threads",
}


def _quick(run: Run) -> Iterator[str]:
    if run.protocol.effort == "quick" and run.outcomes:
        yield "Quick effort: no verdicts; two blocks show no more than the order of size."
