"""Progress of a run: a live table on a terminal, plain lines elsewhere."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from harness import units
from harness.analyze import rounds, verdicts
from harness.analyze.analysis import Analysis
from harness.records import (
    Case,
    Epoch,
    Failure,
    Measurement,
    Outcome,
    Recipe,
    Round,
    Run,
    TriedSize,
    comparison_key,
)
from harness.report import names
from harness.report.live import LiveTable, Row

_MOST_LINES = 5


class Progress:
    """Shows the progress of a run; the number of comparisons is 0 when unknown."""

    def __init__(
        self, console: Console, comparisons: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._planned = comparisons
        self._clock, self._begin = clock, clock()
        self._table = LiveTable(console, clock)
        self._outcomes: dict[str, Outcome] = {}  # by key
        self._analysis: Analysis | None = None
        self._number, self._blocks = "", 0
        self._block, self._reached = 0, self._begin  # the block being measured, and since when
        self._rows: dict[str, Row] = {}  # of the group, by key
        self._cases: dict[Case, list[Row]] = {}
        self._rounds: dict[Case, list[Round]] = {}  # of the block that is being measured

    def on_group(self, comparisons: Sequence[tuple[Case, Case]], blocks: int) -> None:
        """Announce comparisons that are measured together."""
        first, many = len(self._outcomes) + 1, len(comparisons)
        self._number = f"{first}–{first + many - 1}" if many > 1 else str(first)
        self._blocks, self._block, self._reached = blocks, 0, self._clock()
        self._rows = {comparison_key(*one): Row(*names.sides(*one)) for one in comparisons}
        self._rounds, self._cases = defaultdict(list), defaultdict(list)
        for (case, _), row in zip(comparisons, self._rows.values(), strict=True):
            self._cases[case].append(row)
        if self._table.possible:
            self._draw()
            return
        number = f"[{self._number}/{self._planned or '?'}]"
        lines = [_against(*comparison) for comparison in comparisons]
        if many == 1:
            self._print(f"{number} {lines[0]}: {blocks} blocks")
            return
        self._print(f"{number} {many} comparisons together: {blocks} blocks")
        for line in lines:
            self._print(f"    {line}")

    def on_round(self, case: Case, a_round: Round) -> None:
        """Draw the table; the first rounds of a case tell its time per step."""
        self._reach(a_round.block)
        self._rounds[case].append(a_round)
        if self._table.is_due:
            for known, its in self._rounds.items():
                for row in self._cases[known]:
                    if row.judged is None:
                        row.step_seconds = rounds.median_step(its)
            self._draw()

    def on_block(self, run: Run) -> None:
        """Analyze what is known, as at the end of a run, and draw the table."""
        self._analysis = Analysis(run)
        self._rounds.clear()
        self._reach(self._block + 1)
        for outcome in run.outcomes:
            row = self._rows.get(outcome.key)
            if row and not row.ended and isinstance(outcome, Measurement):
                self._judge(row, outcome, self._analysis)
        if self._table.possible:
            self._draw()

    def on_outcome(self, outcome: Outcome, log: Path | None = None) -> None:
        """Say how a comparison ended; on a terminal the table says so."""
        self._outcomes[outcome.key] = outcome
        if isinstance(outcome, Failure):
            self._rows.pop(outcome.key, None)
            where = "" if log is None else f", log: {log}"
            # The summary says why.
            self._print(f"{outcome.case.id}: failed ({outcome.kind}){where}")
        elif (row := self._rows.get(outcome.key)) and self._analysis:
            row.ended = True
            self._judge(row, outcome, self._analysis)
            if not self._table.possible:
                self._print(f"    {_found(row, outcome)}")

    def on_group_end(self) -> None:
        """Remove the table."""
        self._table.stop()

    def on_known_outcome(self, outcome: Outcome) -> None:
        """Say that an earlier session has measured a comparison."""
        if outcome.key in self._outcomes:  # measured a moment ago, in a group
            return
        self._outcomes[outcome.key] = outcome
        if not self._table.possible:
            number = f"[{len(self._outcomes)}/{self._planned or '?'}]"
            self._print(f"{number} {outcome.case.id}: already measured")

    def on_epoch(self, recipe: Recipe, epoch: Epoch) -> None:
        """Say how an epoch of a training in full ended; each has a line of its own."""
        accuracy = "" if epoch.val_accuracy is None else f", test accuracy {epoch.val_accuracy:.4f}"
        case, took = recipe.case, units.seconds(epoch.seconds)
        self._print(
            f"{case.variant} batch {case.batch_size}, seed {case.seed}: epoch "
            f"{epoch.epoch}/{recipe.epochs} in {took}, loss {epoch.loss:.4f}{accuracy}"
        )

    def on_size(self, case: Case, size: TriedSize) -> None:
        """Say how a batch size of a search did."""
        if size.step_seconds is None:
            found = f"{size.status}: {size.message}"
            if size.peak_bytes is not None:
                found += f" (at {units.mebibytes(size.peak_bytes)})"
        else:
            rate = units.digits(case.batch_size / size.step_seconds)
            found = f"about {rate} samples/s, {units.mebibytes(size.peak_bytes)}"
        self._print(f"{case.variant} on {case.device}: batch {case.batch_size}: {found}")

    def inspected(self, case: Case, found: str) -> None:
        """Show the result of a trial of a model."""
        self._print(f"{case.variant}: {found}")

    def damaged(self, folder: Path, lines: Sequence[int]) -> None:
        """Name the lines of a journal that cannot be read."""
        first = ", ".join(map(str, lines[:_MOST_LINES]))
        more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
        where = f"the journal of {folder.name} is damaged in line {first}{more}"
        self._print(f"{where}; the damaged part is measured again")

    def expect(self, comparisons: int) -> None:
        """Set the number of planned comparisons."""
        self._planned = comparisons

    def _reach(self, block: int) -> None:
        if block != self._block:
            self._block, self._reached = block, self._clock()

    def _judge(self, row: Row, m: Measurement, analysis: Analysis) -> None:
        row.judged = verdicts.judge(m, analysis)
        row.step_seconds = analysis.observed[m.case].step.value

    def _draw(self) -> None:
        many = "comparisons" if len(self._rows) > 1 else "comparison"
        planned = f" of {self._planned}" if self._planned else ""
        block = f"block {min(self._block + 1, self._blocks)} of {self._blocks}"
        line = f"{many} {self._number}{planned}, {block}{self._left()}"
        self._table.draw([*self._rows.values()], self._blocks, len(self._outcomes), line)

    def _left(self) -> str:
        pending = sum(not row.ended for row in self._rows.values())
        done = len(self._outcomes) + pending * self._block / max(1, self._blocks)
        if done < 0.15 or done >= self._planned:
            return ""
        left = (self._reached - self._begin) / done * (self._planned - done)
        left -= self._clock() - self._reached
        return f", {units.seconds(max(1.0, left))} left"

    def _print(self, line: str) -> None:
        self._console.print(units.printable(line), highlight=False, markup=False, soft_wrap=True)


def _against(case: Case, reference: Case) -> str:
    return f"{case.id} against {_reference(case, reference)}"


def _reference(case: Case, reference: Case) -> str:
    return "itself" if case == reference else reference.id


def _found(row: Row, m: Measurement) -> str:
    """Write the figures of a comparison that has ended."""
    parts = [f"{m.case.id}: {units.seconds(row.step_seconds)}/step"]
    if row.judged is not None:
        found = row.judged.speedup
        speedup = units.ratio_interval(found.value, found.low, found.high)
        parts.append(f"{speedup} as fast as {_reference(m.case, m.reference)}")
        if row.judged.verdict is not None and not row.judged.noise_floor:
            parts.append(row.judged.verdict)
    return ", ".join(parts)
