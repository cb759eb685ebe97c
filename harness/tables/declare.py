"""How a table is declared: its rows, columns, notes and chart in one place.

A row is a frozen dataclass; its fields are the columns of the CSV file, in order. A field that
holds an `Estimate` becomes three columns, `x`, `x_low`, `x_high`, here alone. What is missing
is None and an empty cell.
"""

import csv
import dataclasses
import functools
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness import units
from harness.analyze.analysis import Analysis
from harness.records import Estimate
from harness.tables.drawing import Figure

if TYPE_CHECKING:
    import pandas as pd

R = TypeVar("R")
SEPARATOR = " | "  # between the texts of one CSV cell
MOST_BARS = 18  # with a label each: more than a page
MOST_LINES = 6  # as many as there are colors and markers
MOST_PANELS = 6
# Columns that keep the name by which scripts know them.
_RENAMED = {"auxiliary": "aside", "trained": "case"}


@dataclasses.dataclass(frozen=True)
class Column(Generic[R]):
    """A column of the table as people read it.

    Attributes:
        heading: With its unit.
        value: From a row to what the cell says, or its path for `value_of`.
        write: From a value, where there is one, to text.
        numeric: Whether the column is aligned to the right.
        rank: 0 for a column that is always shown; on a narrow terminal the highest rank is
            hidden first.
        shared: Whether the column moves to the title when all rows agree.
        usual: The column is left out when all rows say this.
        verdict: The verdict that the cell states; the page colors the cell by it.
        breaks: Whether the cell has lines of its own, made of no names.
    """

    heading: str
    value: str | Callable[[R], Any]
    write: Callable[[Any], str] = str
    numeric: bool = True
    rank: int = 0
    shared: bool = False
    usual: str = units.MISSING
    verdict: Callable[[R], str | None] | None = None
    breaks: bool = False

    def cell(self, row: R) -> str:
        """Write the cell of a row."""
        return given(value_of(row, self.value), self.write)


@dataclasses.dataclass(frozen=True)
class Limit(Generic[R]):
    """How much of a table its chart shows.

    Attributes:
        most: How many are shown.
        what: Name, in the plural.
        by: Fields that tell one from another; empty where each row is one.
        effect: Path of the size of an effect, or from a row to it: the largest are shown; None
            for the first ones.
    """

    most: int
    what: str
    by: tuple[str, ...] = ()
    effect: str | Callable[[R], float | None] | None = None


@dataclasses.dataclass(frozen=True)
class Chart(Generic[R]):
    """The chart of a table.

    Attributes:
        draw: From rows, at least one, and the caption to a figure.
        limits: How much is shown.
        shows: Whether a row is shown.
        answers: Whether there is something to show among these rows; else nothing is drawn.
    """

    draw: Callable[[list[R], str], Figure]
    limits: tuple[Limit[R], ...] = ()
    shows: Callable[[R], bool] = lambda _: True
    answers: Callable[[list[R]], bool] = bool


def case_name(row: Any) -> str:
    """Name the case of a row: `baseline 256`."""
    return f"{row.case.variant} {row.case.batch_size}"


@dataclasses.dataclass(frozen=True, eq=False)
class Table(Generic[R]):
    """One table: what it holds, how it is shown and drawn.

    Attributes:
        name: Of its files.
        title: One line.
        row: The class of its rows.
        rows: All rows of a run.
        columns: As people read them.
        notes: What a reader must know of single cells, a line each.
        csv: Columns of the CSV file, in order; `*` stands for all others.
        selected: The rows that people see; the CSV file has all.
        name_of: Names a row beside its cautions.
        chart: None for a table without a chart.
    """

    name: str
    title: str
    row: type[R]
    rows: Callable[[Analysis], list[R]]
    columns: tuple[Column[R], ...]
    notes: Callable[[Sequence[R]], Iterable[str]] = lambda _: ()
    csv: str = "*"
    selected: Callable[[Sequence[R]], Sequence[R]] = lambda rows: rows
    name_of: Callable[[R], str] = case_name
    chart: Chart[R] | None = None


def estimate(column: str, path: str, low: str = "", high: str = "") -> str:
    """Name the three columns of an estimate for `columns`."""
    low, high = low or f"{column}_low", high or f"{column}_high"
    return f"{column}={path}.value {low}={path}.low {high}={path}.high"


RATIO = estimate("speedup", "speedup", "low", "high")  # of `verdicts.Judged`
ENERGY = "energy_speedup energy_speedup_low energy_speedup_high"  # columns of the CSV files
_ENERGY = estimate("energy_speedup", "energy")
JUDGED = f"{RATIO} blocks verdict smallest_visible {_ENERGY}"
LOSS = estimate("loss_difference", "difference", "loss_low", "loss_high") + " loss_verdict=verdict"


def ends(low: str, high: str) -> Any:
    """Declare a field that holds an `Estimate`, and the names of its ends in the CSV file."""
    return dataclasses.field(default=None, metadata={"ends": (low, high)})


def columns(names: str = "") -> Any:
    """Declare a field that holds an object.

    Args:
        names: Those of its values that are columns of the CSV file; `column=path` where the
            column has another name. Empty for a field that is not in the file.
    """
    return dataclasses.field(default=None, metadata={"columns": names})


def header(table: Table[Any]) -> list[str]:
    """Return the columns of the CSV file."""
    return list(_columns(table))


def flat(table: Table[Any], row: Any) -> dict[str, Any]:
    """Return a row as plain values by the columns of the CSV file."""
    return {name: _plain(value_of(row, path)) for name, path in _columns(table).items()}


def value_of(row: Any, path: str | Callable[[Any], Any]) -> Any:
    """Return a value by its path: `judged.verdict`. What a row does not have, its `case` has.

    None where a part of the path is None. A function in place of a path is called.
    """
    if not isinstance(path, str):
        return path(row)
    first, *others = path.split(".")
    value = getattr(row, first) if hasattr(row, first) else getattr(row.case, first)
    for name in others:
        if value is None:
            return None
        value = value.get(name) if isinstance(value, dict) else getattr(value, name)
    return value


@functools.cache
def _columns(table: Table[Any]) -> dict[str, str]:
    """Map the columns of a CSV file to the paths of their values."""
    fields, named = dataclasses.fields(table.row), table.csv.split()
    paths = {name: path for field in fields for name, path in _paths(field)}
    others = [name for name in paths if name not in named]
    found = [name for entry in named for name in (others if entry == "*" else [entry])]
    return {name: paths[name] for name in found}


def _paths(field: "dataclasses.Field[Any]") -> Iterator[tuple[str, str]]:
    """Yield the columns of a field with their paths."""
    name = field.name
    if "columns" in field.metadata:
        entries, start = field.metadata["columns"], f"{name}."
    elif "Estimate" in str(field.type):
        entries, start = estimate(name, name, *field.metadata.get("ends", ())), ""
    else:
        entries, start = f"{_RENAMED.get(name, name)}={name}", ""
    for entry in entries.split():
        column, _, path = entry.partition("=")
        yield column, start + (path or column)


def _plain(value: Any) -> Any:
    return SEPARATOR.join(map(str, value)) if isinstance(value, tuple) else value


def to_csv(table: Table[R], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write the CSV file of rows as `flat` returns them, with 12 significant digits.

    Further digits differ from CPU to CPU, so that a run would have other files elsewhere.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header(table))
    writer.writerows(map(_rounded, row.values()) for row in rows)
    return file.getvalue()


def _rounded(value: Any) -> Any:
    return float(f"{value:.12g}") if isinstance(value, float) else value


def to_frame(table: Table[R], rows: Sequence[R]) -> "pd.DataFrame":
    """Return the rows as a DataFrame; whole numbers stay whole where some are missing."""
    import pandas as pd

    frame = pd.DataFrame([flat(table, row) for row in rows], columns=header(table), dtype=object)
    frame = frame.infer_objects()
    for name in header(table):
        if {type(value) for value in frame[name].dropna()} == {int}:
            frame[name] = frame[name].astype("Int64")
    return frame


def speedup_of(estimate: Estimate | None) -> str:
    """Write a speedup with its interval."""
    if estimate is None:
        return units.MISSING
    return units.ratio_interval(estimate.value, estimate.low, estimate.high)


def percent_of(estimate: Estimate | None) -> str:
    """Write a share with its interval, in percent."""
    if estimate is None:
        return units.MISSING
    # `round` gives a whole number, which has no minus at 0.
    low, high = estimate.low, estimate.high
    interval = "" if low is None or high is None else f" [{round(100 * low)}, {round(100 * high)}]"
    return f"{round(100 * estimate.value)} %{interval}"


V = TypeVar("V")


def given(value: V | None, write: Callable[[V], str] = str) -> str:
    """Write a value, or that there is none."""
    return units.MISSING if value is None else write(value)


def interval_of(estimate: Estimate, write: Callable[[float], str]) -> str:
    """Write a value, and its interval where there is one: `3 [2, 5]`."""
    ends = [write(end) for end in (estimate.low, estimate.high) if end is not None]
    return write(estimate.value) + (f" [{', '.join(ends)}]" if ends else "")


def share_of(share: float) -> str:
    """Write a share without an interval, in percent."""
    return f"{round(100 * share)} %"


def yes_or_no(told: bool) -> str:
    """Write whether something holds."""
    return "yes" if told else "no"


def span(values: Iterable[float], write: Callable[[float], str]) -> str:
    """Write the smallest and the largest value: `3 to 5`, or `3` where they look the same."""
    ordered = sorted(values)
    return " to ".join(dict.fromkeys(map(write, (ordered[0], ordered[-1]))))


def grouped(rows: Iterable[R], by: Callable[[R], Any]) -> Mapping[Any, list[R]]:
    """Collect the rows that agree, in the order in which each group begins."""
    found: dict[Any, list[R]] = {}
    for row in rows:
        found.setdefault(by(row), []).append(row)
    return found


def key_of(*fields: str) -> Callable[[Any], tuple[Any, ...]]:
    """Return what maps a row to its values of these fields."""
    return lambda row: tuple(value_of(row, field) for field in fields)


def draw(table: Table[R], analysis: Analysis, caption: str) -> "Figure | None":
    """Draw the chart of a table.

    Returns:
        The figure; None for a table without a chart, and where there is nothing to show.
    """
    if table.chart is None:
        return None
    rows, left_out = readable(table.chart, analysis.rows(table))
    if not rows or not table.chart.answers(rows):
        return None
    return table.chart.draw(rows, "; ".join((caption, *left_out)))


def readable(chart: Chart[R], rows: Sequence[R]) -> tuple[list[R], list[str]]:
    """Keep the rows that the chart can show, in their order.

    Returns:
        The rows, and a line for each kind of thing that is left out.
    """
    kept, left_out = [row for row in rows if chart.shows(row)], []
    for limit in chart.limits:
        keys: list[Any] = [*map(key_of(*limit.by), kept)] if limit.by else [*range(len(kept))]
        found = list(dict.fromkeys(keys))
        if len(found) <= limit.most:
            continue
        chosen = set(_largest(limit, kept, keys, found)[: limit.most])
        which = "those of the largest effects" if limit.effect else "the first ones"
        left_out.append(left_out_line(len(found) - limit.most, len(found), limit.what, which))
        kept = [row for row, key in zip(kept, keys, strict=True) if key in chosen]
    return kept, left_out


def _largest(limit: Limit[R], rows: list[R], keys: list[Any], found: list[Any]) -> list[Any]:
    if limit.effect is None:
        return found
    sizes: dict[Any, float] = {}
    for row, key in zip(rows, keys, strict=True):
        size = value_of(row, limit.effect)
        sizes[key] = max(sizes.get(key, -1.0), -1.0 if size is None else abs(size))
    return sorted(found, key=lambda key: -sizes[key])


def left_out_line(left: int, found: int, what: str, which: str, where: str = "the table") -> str:
    """Say how much a chart leaves out, and where all of it stands."""
    return (
        f"left out: {units.count(left)} of {units.count(found)} {what}; {which} are shown, "
        f"{where} has all"
    )


def energy_column(rank: int = 2) -> Column[Any]:
    """Return the column of speedups in energy; it is left out where there is no meter."""
    return Column("energy [95 %]", "judged.energy", speedup_of, rank=rank)
