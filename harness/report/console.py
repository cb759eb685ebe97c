"""The final summary of a run, for a terminal and as JSON."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from harness import units
from harness.records import Measurement
from harness.report import formats, notes
from harness.report.files import Written

SCHEMA = 1
_MOST_OUTPUTS = 5  # of workers that failed


def show(console: Console, written: Written, *, failures: bool = True) -> None:
    """Print the final summary; what it comes to stands near the end, where a reader looks.

    If everything has failed, there are no tables to show. pytest prints failures itself.
    """
    analysis, run = written.analysis, written.analysis.run
    measured = any(isinstance(outcome, Measurement) for outcome in run.outcomes)
    anything = measured or run.trainings or run.searches or run.profiles
    console.print()
    title = formats.shortened(f"Training benchmark {units.printable(run.id)}")
    console.rule(Text(title), align="left", style="default")
    tables = list(written.tables.values()) if anything else []
    if tables:
        formats.say(console, formats.shortened(tables[0].caption))
    for table in tables:
        if table.rows:
            console.print()
            console.print(formats.to_rich(table, console.width))
    console.print()
    for line in [
        *notes.others(analysis),
        *(_first(notes.failures(run), "failures") if failures else ()),
        *_first(notes.cautions(analysis), "cautions"),
        *(notes.quick(run) if anything else ()),
        *notes.duration(run),
    ]:
        formats.say(console, formats.shortened(units.printable(line)))
    if failures:
        for line in "\n".join(notes.worker_output(run)[:_MOST_OUTPUTS]).splitlines():
            formats.say(console, f"  {line}")
    console.print()
    for line in (written.sentence, *(written.advice if anything else ())):
        console.print(Text(formats.shortened(units.printable(line)), "bold"))
    if written.settings:
        console.print("\nRecommended settings, to paste:")
        console.print(written.settings, markup=False, highlight=False, soft_wrap=True)
    console.print("\nWritten to:")
    for folder in sorted({path.parent for path in written.paths}):
        here = Path.cwd()
        short = folder.relative_to(here) if folder.is_relative_to(here) else folder
        console.print(f"  {short}", markup=False, highlight=False, soft_wrap=True)


def document(written: Written) -> dict[str, Any]:
    """Return the summary as plain values."""
    analysis = written.analysis
    return {
        "schema": SCHEMA,
        "run": analysis.run.id,
        "effort": analysis.run.protocol.effort,
        "sentence": written.sentence,
        "advice": list(written.advice),
        "settings": written.settings,  # code; empty without settings to recommend
        "failures": list(notes.failures(analysis.run)),
        "cautions": list(notes.cautions(analysis)),
        "tables": written.rows,  # with the columns of the CSV files; None where missing
        "files": [str(path) for path in written.paths],
    }


def _first(lines: Iterable[str], what: str) -> Iterator[str]:
    found = list(lines)
    yield from map(formats.shortened, found[: formats.MOST_ROWS])
    if len(found) > formats.MOST_ROWS:
        yield f"{units.count(len(found) - formats.MOST_ROWS)} more {what} in the files"
