"""The table of bottlenecks."""

from collections.abc import Iterator
from typing import Any

from harness import units
from harness.analyze.bottleneck import BOUNDS, DISTURBED, NOT_SHOWN, ORDER, THROTTLED
from harness.analyze.cautions import SEPARATOR
from harness.tables.columns.cells import (
    BACKEND,
    BATCH,
    DEVICE,
    VARIANT,
    Row,
    percents,
    text,
)
from harness.tables.declare import Column

TITLES = {
    "bottleneck": "What decides the time",
}
COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    "bottleneck": (
        VARIANT,
        BACKEND,
        DEVICE,
        Column("threads", text("threads"), shared=True),
        BATCH,
        Column("bottleneck", text("verdict"), numeric=False),
        Column("also", lambda row: row["also"] or units.MISSING, numeric=False, rank=1),
        Column("fit adds [95 %]", percents("input_share"), rank=3),
        Column("overhead [95 %]", percents("overhead_share"), rank=2),
        Column("memory [95 %]", percents("memory_share"), rank=2),
        Column("arithmetic [95 %]", percents("compute_share"), rank=2),
    ),
}
_FEW = 3


def selected(rows: list[Row]) -> list[Row]:
    """All but the unnamed models between the ends of a ladder."""
    return [row for row in rows if not row["aside"]]


def notes(name: str, rows: list[Row]) -> Iterator[str]:  # noqa: ARG001  (there is one table)
    """What a reader must know of single cells."""
    yield (
        "shares of a step's time. fit adds: the part of its input that steps do not hide; "
        "overhead: by the law of the batch size; memory: a low count of the bytes moved, at the "
        "rate of a copy; arithmetic: a high count, at the rate of a matrix product"
    )
    thresholds = ", ".join(f"{b.verdict} {100 * b.threshold:.0f} %" for b in BOUNDS)
    yield (
        f"shown where the whole interval lies at or above: {thresholds}; the first shown of "
        f"{', '.join(ORDER)} is named, the others stand under also"
    )
    yield from _tries(rows)
    yield from _events(rows)
    yield from _grouped(rows, "missing")


def _tries(rows: list[Row]) -> Iterator[str]:
    """What to try, a line a verdict; for one that is not shown, what would show it."""
    for verdict in (*ORDER, NOT_SHOWN):
        advices = dict.fromkeys(row["advice"] for row in rows if row["verdict"] == verdict)
        yield from (f"{verdict}: try: {advice}" for advice in advices if verdict != NOT_SHOWN)
        if verdict == NOT_SHOWN:
            yield from (f"{verdict}: what would show it: {advice}" for advice in advices)


def _events(rows: list[Row]) -> Iterator[str]:
    """The numbers behind what has no column."""
    several = _several(rows)
    for row in rows:
        found = {row["verdict"], *row["also"].split(", ")}
        if found & {THROTTLED, DISTURBED}:
            yield f"{_name(row, several)}: {row['evidence'].replace(SEPARATOR, '; ')}"


def _grouped(rows: list[Row], column: str) -> Iterator[str]:
    """A line a reason; a few cases are named, many show as gaps in their column."""
    found: dict[str, list[str]] = {}
    several = _several(rows)
    for row in rows:
        for reason in filter(None, row[column].split(SEPARATOR)):
            found.setdefault(reason, []).append(_name(row, several))
    for reason, names in found.items():
        few = len(names) <= _FEW and len(names) < len(rows)
        where = f" [{', '.join(names)}]" if few else ""
        yield f"{column}: {reason}{where}"


def _several(rows: list[Row]) -> list[str]:
    """The columns that tell cases apart."""
    parts = ["variant", "batch_size", "backend", "device", "threads"]
    return [part for part in parts if len({row[part] for row in rows}) > 1] or parts[:2]


def _name(row: Row, several: list[str]) -> str:
    """Name a case by what tells it from the others."""
    words = {"threads": "t{}"}
    return " ".join(words.get(part, "{}").format(row[part]) for part in several)
