"""How a table is declared: its rows, columns, notes and chart in one place.

A row is a frozen dataclass; its fields are the columns of the CSV file, in order. A field that
holds an `Estimate` becomes three columns, `x`, `x_low`, `x_high`, here alone. What is missing
is None and an empty cell.
"""

import csv
import dataclasses
import functools
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import RANDOM_DATA
from harness.records import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

R = TypeVar("R")
SEPARATOR = " | "  # between the texts of one CSV cell
MOST_BARS = 18  # with a label each: more than a page
MOST_LINES = 6  # as many as there are colors and markers
MOST_PANELS = 6
_RENAMED = {"auxiliary": "aside"}  # columns that keep the name by which scripts know them


@dataclasses.dataclass(frozen=True)
class Column(Generic[R]):
    """A column of the table as people read it.

    Attributes:
        heading: With its unit.
        cell: From a row to text.
        numeric: Whether the column is aligned to the right.
        rank: 0 for a column that is always shown; on a narrow terminal the highest rank is
            hidden first.
        shared: Whether the column moves to the title when all rows agree.
        usual: The column is left out when all rows say this.
        verdict: The verdict that the cell states; the page colors the cell by it.
        breaks: Whether the cell has lines of its own, made of no names.
    """

    heading: str
    cell: Callable[[R], str]
    numeric: bool = True
    rank: int = 0
    shared: bool = False
    usual: str = units.MISSING
    verdict: Callable[[R], str | None] | None = None
    breaks: bool = False


@dataclasses.dataclass(frozen=True)
class Limit(Generic[R]):
    """How much of a table its chart shows.

    Attributes:
        most: How many are shown.
        what: Name, in the plural.
        by: Tells one from another; None where each row is one.
        effect: Size of the effect of a row: the largest are shown; None for the first ones.
    """

    most: int
    what: str
    by: Callable[[R], Any] | None = None
    effect: Callable[[R], float | None] | None = None


@dataclasses.dataclass(frozen=True)
class Chart(Generic[R]):
    """The chart of a table.

    Attributes:
        draw: From rows, at least one, and the caption to a figure.
        limits: How much is shown.
        shows: Whether a row is shown.
        answers: Whether there is something to show among these rows; else nothing is drawn.
    """

    draw: Callable[[list[R], str], "Figure"]
    limits: tuple[Limit[R], ...] = ()
    shows: Callable[[R], bool] = lambda _: True
    answers: Callable[[list[R]], bool] = bool


def _no_notes(_: Sequence[Any]) -> Iterator[str]:
    return iter(())


def _variant_and_batch(row: Any) -> str:
    return f"{row.variant} {row.batch_size}"


@dataclasses.dataclass(frozen=True)
class Table(Generic[R]):
    """One table: what it holds, how it is shown and drawn.

    Attributes:
        name: Of its files.
        title: One line.
        row: The class of its rows.
        rows: All rows of a run.
        columns: As people read them.
        notes: What a reader must know of single cells, a line each.
        csv: Columns of the CSV file; empty for all fields of the row.
        selected: The rows that people see; the CSV file has all.
        name_of: Names a row beside its cautions.
        chart: None for a table without a chart.
    """

    name: str
    title: str
    row: type[R]
    rows: Callable[[Analysis], list[R]]
    columns: tuple[Column[R], ...]
    notes: Callable[[Sequence[R]], Iterable[str]] = _no_notes
    csv: tuple[str, ...] = ()
    selected: Callable[[Sequence[R]], Sequence[R]] = lambda rows: rows
    name_of: Callable[[R], str] = _variant_and_batch
    chart: Chart[R] | None = None


def ends(low: str, high: str) -> Any:
    """Declare a field that holds an `Estimate` and names the columns of its interval."""
    return dataclasses.field(default=None, metadata={"ends": (low, high)})


def several(names: Iterable[str]) -> Any:
    """Declare a field that holds the values of several columns by name."""
    return dataclasses.field(default_factory=dict, metadata={"names": tuple(names)})


def unwritten() -> Any:
    """Declare a field that is for the chart alone and not in the CSV file."""
    return dataclasses.field(default=None, metadata={"names": ()})


def header(table: Table[R]) -> list[str]:
    """Return the columns of the CSV file."""
    return list(table.csv) or [name for _, names in _fields(_of(table)) for name in names]


def flat(table: Table[R], row: R) -> dict[str, Any]:
    """Return a row as plain values by the columns of the CSV file."""
    values: dict[str, Any] = {}
    for field, names in _fields(_of(table)):
        value = getattr(row, field)
        if isinstance(value, Mapping):
            values.update((name, value.get(name)) for name in names)
        elif len(names) == 3:
            parts = (value.value, value.low, value.high) if value else (None, None, None)
            values.update(zip(names, parts, strict=True))
        elif names:
            values[names[0]] = _plain(value)
    return {name: values[name] for name in table.csv} if table.csv else values


def _of(table: Table[Any]) -> Any:
    return table.row


@functools.cache
def _fields(row: type[Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """List the fields of a class of rows, each with its columns."""
    return tuple((field.name, _names(field)) for field in dataclasses.fields(row))


def _names(field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    if "names" in field.metadata:
        return tuple(field.metadata["names"])
    if "Estimate" not in str(field.type):
        return (_RENAMED.get(field.name, field.name),)
    return (field.name, *field.metadata.get("ends", (f"{field.name}_low", f"{field.name}_high")))


def _plain(value: Any) -> Any:
    return SEPARATOR.join(map(str, value)) if isinstance(value, tuple) else value


def to_csv(table: Table[R], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write the CSV file of rows as `flat` returns them."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header(table))
    writer.writerows(row.values() for row in rows)
    return file.getvalue()


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


def grouped(rows: Iterable[R], by: Callable[[R], Any]) -> Mapping[Any, list[R]]:
    """Collect the rows that agree, in the order in which each group begins."""
    found: dict[Any, list[R]] = {}
    for row in rows:
        found.setdefault(by(row), []).append(row)
    return found


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


def place_of(rows: Sequence[Any]) -> Callable[[Any], str]:
    """Return what names the device and backend of a row, where the table has several."""
    names = [n for n in ("device", "backend") if len({getattr(row, n) for row in rows}) > 1]
    return lambda row: "".join(f", {getattr(row, name)}" for name in names)


def _threads(count: int) -> str:
    """Write how many threads."""
    return "1 thread" if count == 1 else f"{count} threads"


def dataset(path: str) -> str:
    """Write the name of a dataset, whatever folder it lies in."""
    return "random data" if path == RANDOM_DATA else Path(path).name


_WORDS: dict[str, Any] = {
    "batch_size": "batch {}".format,
    "epochs": "{} epochs".format,
    "device": str.upper,
    "dataset": dataset,
    "threads": _threads,
}


def words(row: Any, fields: Iterable[str]) -> str:
    """Write fields of a row: `baseline, batch 256, CPU`."""
    return ", ".join(_word(name, getattr(row, name)) for name in fields)


def _word(field: str, value: Any) -> str:
    return str(_WORDS.get(field, str)(value))


def differing(rows: Sequence[Any], fields: Iterable[str]) -> list[str]:
    """List the fields in which rows differ: a label says them."""
    return [name for name in fields if len({getattr(row, name) for row in rows}) > 1]


def common(rows: Sequence[Any], fields: Iterable[str]) -> str:
    """Write the fields in which all rows agree: a subtitle says them once."""
    fields = list(fields)
    told = differing(rows, fields)
    return words(rows[0], [name for name in fields if name not in told])


def names_of(
    rows: Sequence[Any], always: Sequence[str], sometimes: Sequence[str]
) -> tuple[list[str], str]:
    """Name rows in as few words as they need.

    Args:
        rows: All.
        always: Fields that stand in every name.
        sometimes: Fields that stand in a name where they are not as in most rows.

    Returns:
        A name per row, and what all or most rows have in common.
    """
    usual = {f: Counter(getattr(row, f) for row in rows).most_common(1)[0][0] for f in sometimes}
    told = [
        words(row, (*always, *(f for f in sometimes if getattr(row, f) != usual[f])))
        for row in rows
    ]
    varied = differing(rows, sometimes)
    same = ", ".join(_word(f, usual[f]) for f in sometimes if f not in varied)
    most = ", ".join(_word(f, usual[f]) for f in varied)
    return told, "; ".join(filter(None, (same, most and f"{most} unless named")))


def lines_of(
    rows: Sequence[R], always: Sequence[str], sometimes: Sequence[str] = ()
) -> Iterator[tuple[str, list[R]]]:
    """Yield the rows of each line of a chart with its label.

    Args:
        rows: All.
        always: Fields that tell lines apart and stand in every label.
        sometimes: Fields that do so where rows differ.
    """
    by = [*always, *differing(rows, sometimes)]
    for its in grouped(rows, lambda row: tuple(getattr(row, name) for name in by)).values():
        yield words(its[0], by), its


def readable(chart: Chart[R], rows: Sequence[R]) -> tuple[list[R], list[str]]:
    """Keep the rows that the chart can show, in their order.

    Returns:
        The rows, and a line for each kind of thing that is left out.
    """
    kept, left_out = [row for row in rows if chart.shows(row)], []
    for limit in chart.limits:
        keys = [limit.by(row) if limit.by else number for number, row in enumerate(kept)]
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
        size = limit.effect(row)
        sizes[key] = max(sizes.get(key, -1.0), -1.0 if size is None else abs(size))
    return sorted(found, key=lambda key: -sizes[key])


def left_out_line(left: int, found: int, what: str, which: str, where: str = "the table") -> str:
    """Say how much a chart leaves out, and where all of it stands."""
    return (
        f"left out: {units.count(left)} of {units.count(found)} {what}; {which} are shown, "
        f"{where} has all"
    )
