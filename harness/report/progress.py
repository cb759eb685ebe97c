"""Progress of a run: one live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from harness import units
from harness.records import Case, Epoch, Failure, Outcome, Recipe, Round, TriedSize

_LINE_SECONDS = 1.0
_MOST_LINES = 5


class Progress:
    """Shows the progress of a run; the number of comparisons is 0 when unknown."""

    def __init__(
        self, console: Console, comparisons: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._planned, self._done = comparisons, 0
        self._clock, self._begin = clock, clock()
        self._drawn = -_LINE_SECONDS
        self._title, self._blocks, self._group = "", 0, 1

    def on_group(self, comparisons: Sequence[tuple[Case, Case]], blocks: int) -> None:
        """Announce comparisons that are measured together."""
        self._blocks, self._group = blocks, len(comparisons)
        last = f"–{self._done + len(comparisons)}" if len(comparisons) > 1 else ""
        number = f"[{self._done + 1}{last}/{self._planned or '?'}]"
        lines = [_against(*comparison) for comparison in comparisons]
        name = comparisons[0][0].id if len(lines) == 1 else f"{len(lines)} comparisons together"
        self._title = f"{number} {name}"
        if self._console.is_terminal:
            self._draw(f"{self._title}  starting{self._left(0)}")
        elif len(lines) == 1:
            self._print(f"{number} {lines[0]}: {blocks} blocks")
        else:
            for line in (f"{self._title}: {blocks} blocks", *(f"    {line}" for line in lines)):
                self._print(line)

    def on_round(self, case: Case, a_round: Round) -> None:
        """Redraw the live line, at most once a second."""
        now = self._clock()
        if not self._console.is_terminal or now - self._drawn < _LINE_SECONDS:
            return
        self._drawn = now
        step = units.seconds(a_round.seconds / a_round.steps)
        self._draw(
            f"{self._title}  block {a_round.block + 1}/{self._blocks}  "
            f"{case.variant} batch {case.batch_size}: {step}/step{self._left(a_round.block)}"
        )

    def on_outcome(self, outcome: Outcome, log: Path | None = None) -> None:
        """Say how a comparison ended."""
        self._done += 1
        if self._console.is_terminal:
            self._draw("")
            self._console.file.write("\r")
        if isinstance(outcome, Failure):
            where = "" if log is None else f", log: {log}"
            # The summary says why.
            self._print(f"{outcome.case.id}: failed ({outcome.kind}){where}")
        elif not self._console.is_terminal:
            self._print(f"    measured in {units.seconds(outcome.wall_seconds)}")

    def on_known_outcome(self, outcome: Outcome) -> None:
        """Say that a comparison is already measured."""
        self._done += 1
        if not self._console.is_terminal:
            number = f"[{self._done}/{self._planned or '?'}]"
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

    def _left(self, block: int) -> str:
        done = self._done + self._group * block / max(1, self._blocks)
        if not self._planned or done < 0.15:
            return ""
        left = (self._clock() - self._begin) / done * (self._planned - done)
        return f"  {units.seconds(max(1.0, left))} left"

    def _draw(self, line: str) -> None:
        """Overwrite the live line."""
        width = self._console.width - 1
        self._console.file.write("\r" + units.printable(line)[:width].ljust(width))
        self._console.file.flush()

    def _print(self, line: str) -> None:
        self._console.print(units.printable(line), highlight=False, markup=False, soft_wrap=True)


def _against(case: Case, reference: Case) -> str:
    return f"{case.id} against {'itself' if case == reference else reference.id}"
