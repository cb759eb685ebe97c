"""The live table of a terminal: what is known of the comparisons that are being measured."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harness import units
from harness.analyze.verdicts import Judged

_DRAW_SECONDS = 0.5
_OTHER_LINES = 4  # above and below the rows, and where the cursor goes at the end
_VERDICT_WIDTH = 100  # of a terminal that has room for verdicts
_GAP = "  "


@dataclass(slots=True)
class Row:
    """A comparison; what is not yet known of it is None.

    Attributes:
        ended: Whether all its blocks are measured.
    """

    case: str
    reference: str
    step_seconds: float | None = None
    judged: Judged | None = None
    ended: bool = False


class LiveTable:
    """Draws the table over the one before, on a terminal alone, at most twice a second.

    No thread draws: one would run beside a timed round.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.possible = console.is_interactive
        self._console = console
        self._clock = clock
        self._drawn = clock() - _DRAW_SECONDS
        self._live: Live | None = None

    @property
    def is_due(self) -> bool:
        """Whether to draw now."""
        return self.possible and self._clock() - self._drawn >= _DRAW_SECONDS

    def draw(self, rows: Sequence[Row], blocks: int, done: int, line: str) -> None:
        """Draw rows and a line below.

        Args:
            rows: One per comparison of a group.
            blocks: Planned, per comparison.
            done: Number of comparisons that have ended, those among the rows included.
            line: What is being measured, how far, and the time left.
        """
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._drawn = self._clock()
        frame = _frame(self._console, rows, blocks, done, line)
        self._live.update(frame, refresh=True)

    def stop(self) -> None:
        """Remove the table; the next `draw` begins another."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError):  # the terminal has gone
                live.stop()


def _frame(console: Console, rows: Sequence[Row], blocks: int, done: int, line: str) -> Group:
    """Fit the table to the terminal: comparisons that have ended make room for the others."""
    room = max(1, console.height - _OTHER_LINES)
    shown = rows if len(rows) <= room else [row for row in rows if not row.ended]
    hidden = len(shown[room:])
    shown = shown[:room]
    above = []
    if elsewhere := done - sum(row.ended for row in shown):
        above.append(f"{units.plural(elsewhere, 'comparison')} done")
    if hidden:
        above.append(f"{hidden} hidden: terminal too low")
    heading, *lines = _lines(shown, blocks, console.width)
    styles = ["dim" if row.ended else "" for row in shown]
    return Group(
        *([_text("; ".join(above), "dim")] if above else ()),
        _text(heading, "bold"),
        *map(_text, lines, styles),
        _text(line, "dim"),
    )


def _text(line: str, style: str) -> Text:
    return Text(line, style, no_wrap=True, overflow="ellipsis")


def _lines(rows: Sequence[Row], blocks: int, width: int) -> list[str]:
    """Write heading and rows; rich's own tables take longer to draw than a round may wait."""
    figures = [
        _right("ms/step", [_step(row) for row in rows]),
        _left("speedup", [_speedup(row) for row in rows]),
        _right("blocks", [f"{row.judged.blocks if row.judged else 0}/{blocks}" for row in rows]),
    ]
    if width >= _VERDICT_WIDTH:
        figures.append(_left("verdict", [_verdict(row) for row in rows]))
    room = width - sum(len(_GAP) + len(heading) for heading, *_ in figures)
    references = _left("against", [row.reference for row in rows], (room - len(_GAP)) // 2)
    cases = _left("case", [row.case for row in rows], room - len(_GAP) - cell_len(references[0]))
    return [_GAP.join(cells) for cells in zip(cases, references, *figures, strict=True)]


def _right(heading: str, cells: Sequence[str]) -> list[str]:
    """Align a column of plain characters to the right."""
    width = max(map(len, (heading, *cells)))
    return [cell.rjust(width) for cell in (heading, *cells)]


def _left(heading: str, cells: Sequence[str], most: int = 80) -> list[str]:
    """Align a column to the left.

    Names that are too long lose their begin, since names of a group differ at their end.
    """
    cells = [heading, *map(units.printable, cells)]
    width = min(max(map(cell_len, cells)), max(most, len(heading)))
    return [
        set_cell_size(cell if cell_len(cell) <= width else f"…{cell[1 - width :]}", width)
        for cell in cells
    ]


def _step(row: Row) -> str:
    return units.MISSING if row.step_seconds is None else units.digits(1e3 * row.step_seconds, 4)


def _speedup(row: Row) -> str:
    if row.judged is None:
        return units.MISSING
    speedup = row.judged.speedup
    return units.ratio_interval(speedup.value, speedup.low, speedup.high)


def _verdict(row: Row) -> str:
    """Write the verdict of a comparison that has ended."""
    verdict = row.judged.verdict if row.judged and row.ended else None
    return verdict or units.MISSING
