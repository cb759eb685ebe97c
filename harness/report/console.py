"""The final summary: tables, failures, cautions, paths."""

from pathlib import Path

from rich.console import Console

from harness import units
from harness.records import Run
from harness.report import formats, remarks
from harness.report.advice import lines as recommendations
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
    for line in [*remarks.lines(run), *recommendations(run)]:
        console.print(units.printable(line), markup=False, highlight=False)
    console.print("Written to:")
    for folder in sorted({path.parent for path in paths}):
        console.print(f"  {_short(folder)}", markup=False, highlight=False, soft_wrap=True)


def _short(folder: Path) -> Path:
    """Name a folder from the current one where it lies within."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
