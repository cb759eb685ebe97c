"""What columns are made of: a cell from a row of a summary, and those that many tables share."""

from collections.abc import Callable
from typing import Any

from harness import units
from harness.tables.declare import Column

Row = dict[str, Any]


def number(name: str, write: Callable[[float], str]) -> Callable[[Row], str]:
    """A cell of a number, written so."""
    return lambda row: units.MISSING if row.get(name) is None else write(row[name])


def text(name: str) -> Callable[[Row], str]:
    """A cell of a value as it is."""
    return lambda row: units.MISSING if row.get(name) is None else str(row[name])


def speedup_cell(row: Row) -> str:
    """The speedup with its interval."""
    return units.ratio_interval(row["speedup"], row["low"], row["high"])


def interval(
    name: str,
    write: Callable[[float, float | None, float | None], str],
    value: str | None = None,
) -> Callable[[Row], str]:
    """A cell of a value with its interval.

    Args:
        name: Column of the value; its ends are in NAME_low and NAME_high, or in low and high
            where there are no such columns.
        write: From value, low and high to text.
        value: Column of the value, where it has another name than its ends.
    """

    def cell(row: Row) -> str:
        own = f"{name}_low" in row
        low, high = (row[f"{name}_{end}" if own else end] for end in ("low", "high"))
        found = row[value or name]
        return units.MISSING if found is None else write(found, low, high)

    return cell


def percents(name: str) -> Callable[[Row], str]:
    """A cell of a share with its interval, in percent."""

    def cell(row: Row) -> str:
        value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
        if value is None:
            return units.MISSING
        # `round` gives a whole number, which has no minus at 0.
        ends = "" if low is None else f" [{round(100 * low)}, {round(100 * high)}]"
        return f"{round(100 * value)} %{ends}"

    return cell


def verdict_cell(row: Row) -> str:
    """The verdict in words, or that the row is a noise floor."""
    if row["noise_floor"]:
        return "reference vs itself"
    return verdict_words(row["verdict"])


def verdict_words(verdict: str | None) -> str:
    """A verdict in words; missing without one."""
    return units.MISSING if verdict is None else verdict


VARIANT = Column("variant", text("variant"), numeric=False)
BATCH = Column("batch", text("batch_size"), shared=True)
DEVICE = Column("device", text("device"), numeric=False, shared=True)
BACKEND = Column("backend", text("backend"), numeric=False, shared=True, usual="tensorflow")
REFERENCE = Column("against", text("reference"), shared=True)
SPEEDUP = Column("speedup [95 %]", speedup_cell)
VERDICT = Column("verdict", verdict_cell, numeric=False, verdict=lambda row: row["verdict"])
PUBLISHED = Column("published", number("published", units.ratio), rank=2)
BLOCKS = Column("blocks", text("blocks"), rank=3)
THREADS = Column("threads", text("threads"))
