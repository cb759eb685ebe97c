"""The final summary: tables, failures, cautions, paths."""

from pathlib import Path

from rich.console import Console

from harness.analyze import cautions
from harness.records import Failure, Measurement, Run
from harness.report import formats
from harness.report.table import Table


def show(console: Console, run: Run, tables: list[Table], paths: list[Path]) -> None:
    """Print the final summary: tables, failures, cautions, then the paths written."""
    for table in tables:
        if table.rows:
            console.print()
            console.print(formats.to_rich(table, console.width))
    _failures(console, run)
    _cautions(console, run)
    if run.protocol.effort == "quick":
        console.print("Quick effort: no verdicts; two blocks show no more than the order of size.")
    folders = sorted({str(path.parent) for path in paths})
    console.print("Written to " + ", ".join(folders), highlight=False, soft_wrap=True)


def _failures(console: Console, run: Run) -> None:
    for outcome in run.outcomes:
        if isinstance(outcome, Failure):
            console.print(
                f"Failed: {outcome.case.id}: {outcome.kind}: {outcome.message}",
                markup=False,
                highlight=False,
            )


def _cautions(console: Console, run: Run) -> None:
    seen: dict[str, list[str]] = {}
    for outcome in run.outcomes:
        if isinstance(outcome, Measurement):
            for caution in cautions.of_measurement(outcome, run.protocol):
                seen.setdefault(caution, []).append(outcome.case.id)
    for caution, cases in seen.items():
        console.print(
            f"Caution: {caution} ({', '.join(dict.fromkeys(cases))})", markup=False, highlight=False
        )
