"""The history of cases: a table, a chart of each, and a page."""

import dataclasses
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.analyze.history.change_points import FEWEST_POINTS
from harness.analyze.history.series import Change, History, Point, Series
from harness.errors import BadComparison
from harness.records import Estimate, to_json
from harness.report.html import page
from harness.report.html.svg import inline
from harness.tables import drawing
from harness.tables.declare import Column, Table, ends, flat, speedup_of, to_csv
from harness.tables.text import TextTable, build

SCHEMA = 1
_MOST_CHARTS = 40
_MOST_TICKS = 8


def _last(series: Series) -> Change | None:
    return series.changes[-1] if series.changes else None


def _after(series: Series) -> str | None:
    change = _last(series)
    return None if change is None else change.after


def _changed(series: Series) -> str | None:
    change = _last(series)
    return None if change is None else speedup_of(change.ratio)


def _between(series: Series) -> str | None:
    change = _last(series)
    return None if change is None else change.commits


_COLUMNS = (
    Column[Series]("case", "case", numeric=False),
    Column[Series]("reference", "reference", numeric=False, shared=True),
    Column[Series]("machine", "machine", numeric=False, shared=True, rank=3),
    Column[Series]("runs", lambda s: len(s.points), rank=2),
    Column[Series]("latest speedup", lambda s: speedup_of(s.points[-1].speedup), rank=1),
    Column[Series]("changes", lambda s: len(s.changes), rank=2),
    Column[Series]("last change [95 %]", _changed),
    Column[Series]("first run after it", _after, numeric=False),
    Column[Series]("commits", _between, numeric=False, rank=3),
)


def table(history: History) -> TextTable:
    """One row per case, the largest last change first."""
    notes = [
        "last change: speedup after over speedup before; below 1 the case became slower against "
        "its reference",
        f"a change has at least {FEWEST_POINTS} runs on each side; one history in a hundred "
        "without a change shows one",
        *_libraries(history),
        *history.notes,
    ]
    title = f"Speedup over the reference of the same blocks, over {history.runs} runs"
    return build(title, _COLUMNS, ordered(history), notes=notes)


def _libraries(history: History) -> Iterator[str]:
    for series in history.series:
        change = _last(series)
        if change is not None and change.libraries:
            yield f"{series.case}: with its last change {', '.join(change.libraries)}"


def ordered(history: History) -> list[Series]:
    """Return the series, those of the largest last change first."""

    def size(series: Series) -> float:
        change = _last(series)
        return -1.0 if change is None else abs(math.log(change.ratio.value))

    return sorted(history.series, key=size, reverse=True)


def draw(series: Series) -> drawing.Figure:
    """Draw a series: a point per run with its interval, a line per level, what changed."""
    figure, axes = drawing.single(
        _finding(series),
        f"Speedup over {series.reference}, {series.machine}; a point per run, with its interval",
        "dashed: a change of the level; both sides of a ratio were measured in the same blocks",
        3.4,
    )
    speedups = [point.speedup for point in series.points]
    values = [speedup.value for speedup in speedups]
    looks: Any = {"fmt": "o", "color": drawing.COLORS[0], "markersize": 4, "capsize": 2}
    axes.errorbar(range(len(values)), values, yerr=drawing.arms(speedups), **looks)
    ends = [0, *(change.index for change in series.changes), len(values)]
    for level, first, end in zip(series.levels, ends[:-1], ends[1:], strict=True):
        axes.plot([first - 0.4, end - 0.6], [level, level], color="black", linewidth=1.4)
    for change in series.changes:
        axes.axvline(change.index - 0.5, color=drawing.COLORS[1], linewidth=1, linestyle="--")
    every = max(1, math.ceil(len(values) / _MOST_TICKS))
    shown = range(0, len(values), every)
    axes.set_xticks(list(shown), [_tick(series.points[i]) for i in shown])
    axes.set_ylabel("speedup")
    axes.set_xlabel("run")
    return figure


def _tick(point: Point) -> str:
    day = point.started_at[5:10]
    return f"{day}\n{point.commit.split()[0][:7]}" if point.commit else day


def _finding(series: Series) -> str:
    change = _last(series)
    if change is None:
        return f"{series.case}: no change in {len(series.points)} runs"
    percent = 100 * (change.ratio.value - 1)
    word = "faster" if percent > 0 else "slower"
    return f"{series.case}: {abs(percent):.0f} % {word} since {change.after}"


def document(history: History) -> dict[str, Any]:
    """Return all series as plain values."""
    return {"schema": SCHEMA, **to_json(history)}


@dataclasses.dataclass(frozen=True, slots=True)
class _PointRow:
    """A point of a series, for the CSV file; `change` is that of the level before this run."""

    machine: str
    case: str
    reference: str
    run: str
    started_at: str
    commit: str | None
    speedup: Estimate | None = ends("low", "high")
    sample_us: float | None = None
    change: Estimate | None = None


_POINTS = Table[_PointRow]("history", "History", _PointRow, lambda _: [], ())


def to_csv_text(history: History) -> str:
    """Write a line per point."""
    rows = (
        _PointRow(
            series.machine,
            series.case,
            series.reference,
            point.run,
            point.started_at,
            point.commit,
            point.speedup,
            point.sample_us,
            next((c.ratio for c in series.changes if c.index == number), None),
        )
        for series in history.series
        for number, point in enumerate(series.points)
    )
    return to_csv(_POINTS, (flat(_POINTS, row) for row in rows))


def write(history: History, path: Path) -> None:
    """Write the page, and all points as a CSV file of the same name.

    Raises:
        BadComparison: they cannot be written.
    """
    charts = [
        _chart(series, number) for number, series in enumerate(ordered(history)[:_MOST_CHARTS])
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.render_history(table(history), charts, history), encoding="utf-8")
        path.with_suffix(".csv").write_text(to_csv_text(history), encoding="utf-8")
    except OSError as error:
        raise BadComparison(f"cannot write {path}: {error.strerror}") from error


def _chart(series: Series, number: int) -> page.Chart:
    figure, text = draw(series), io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight")
    title = drawing.title(figure)
    element = inline(text.getvalue(), f"h{number}-", title, drawing.CAPTION)
    return page.Chart(f"series_{number}", title, drawing.caption(figure), element)
