"""Progress while measuring, the final summary, cautions."""

import time
from pathlib import Path

from rich.console import Console

from harness import units
from harness.analyze import cautions
from harness.records import Case, Failure, Measurement, Outcome, Round, Run
from harness.report import formats
from harness.report.table import Table

_LINE_SECONDS = 1.0


class Progress:
    """Shows how a run goes on: one live line on a terminal, plain lines elsewhere.

    Args:
        console: Where to.
        comparisons: How many are planned; 0 when unknown.
    """

    def __init__(self, console: Console, comparisons: int = 0) -> None:
        self._console = console
        self._planned = comparisons
        self._done = 0
        self._begin = time.monotonic()
        self._drawn = 0.0
        self._title = ""
        self._blocks = 0

    def comparison(self, case: Case, reference: Case, blocks: int) -> None:
        """Announce a comparison."""
        self._blocks = blocks
        against = "itself" if case == reference else reference.id
        number = f"[{self._done + 1}/{self._planned or '?'}]"
        self._title = f"{number} {case.id}"
        if not self._console.is_terminal:
            self._print(f"{self._title} against {against}: {blocks} blocks")

    def round(self, case: Case, block: int, a_round: Round) -> None:
        """Redraw the live line, at most once a second."""
        now = time.monotonic()
        if not self._console.is_terminal or now - self._drawn < _LINE_SECONDS:
            return
        self._drawn = now
        step = units.seconds(a_round.seconds / a_round.steps)
        line = (
            f"{self._title}  block {block + 1}/{self._blocks}  "
            f"batch {case.batch_size}: {step}/step{self._left(block)}"
        )
        width = self._console.width - 1
        self._console.file.write("\r" + line[:width].ljust(width))
        self._console.file.flush()

    def outcome(self, outcome: Outcome) -> None:
        """Say how a comparison ended."""
        self._done += 1
        if self._console.is_terminal:
            self._console.file.write("\r" + " " * (self._console.width - 1) + "\r")
        if isinstance(outcome, Failure):
            self._print(f"{outcome.case.id}: {outcome.kind}: {outcome.message}")
        elif not self._console.is_terminal:
            self._print(f"    measured in {units.seconds(outcome.wall_seconds)}")

    def _left(self, block: int) -> str:
        done = self._done + block / max(1, self._blocks)
        if not self._planned or done < 0.15:
            return ""
        left = (time.monotonic() - self._begin) / done * (self._planned - done)
        return f"  {units.seconds(max(1.0, left))} left"

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def show(console: Console, run: Run, tables: list[Table], paths: list[Path]) -> None:
    """Print the final summary: tables, failures, cautions, then the paths written."""
    for table in tables:
        if table.rows:
            console.print()
            console.print(formats.to_rich(table), markup=False)
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
            for caution in cautions.of_measurement(outcome):
                seen.setdefault(caution, []).append(outcome.case.id)
    for caution, cases in seen.items():
        console.print(
            f"Caution: {caution} ({', '.join(dict.fromkeys(cases))})", markup=False, highlight=False
        )
