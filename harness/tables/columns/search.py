"""The table of a search for batch sizes."""

from collections.abc import Iterator
from typing import Any

from harness import units
from harness.analyze.search import MARGIN
from harness.tables.columns.cells import BACKEND, DEVICE, VARIANT, Row, number, text
from harness.tables.declare import Column

TITLES = {"batch_size_search": "Batch sizes tried, doubling until something stopped it"}
COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    "batch_size_search": (
        VARIANT,
        BACKEND,
        DEVICE,
        Column("batch", text("batch_size")),
        Column("found", text("status"), numeric=False),
        Column("samples/s, about", number("samples_per_s", units.digits)),
        Column("peak MiB", number("peak_mib", units.count)),
        Column("of memory", number("memory_share", lambda v: f"{100 * v:.0f} %")),
        Column("measured", lambda row: "yes" if row["measured"] else "no", numeric=False, rank=1),
    )
}


def notes(_: str, rows: list[Row]) -> Iterator[str]:
    """What stopped each search, the largest size that fits, and why a size failed."""
    yield "of one warm-up each: rough, and in no comparison; those not measured are far slower"
    for key in dict.fromkeys((row["variant"], row["device"]) for row in rows):
        its = [row for row in rows if (row["variant"], row["device"]) == key]
        yield f"{key[0]} on the {key[1].upper()}: ended since {its[0]['ended']}; {_largest(its)}"
    for row in rows:
        if row["reason"]:
            reached = "" if row["peak_mib"] is None else f", at {units.count(row['peak_mib'])} MiB"
            yield f"batch {row['batch_size']}: {row['status']}{reached}: {row['reason']}"


def _largest(rows: list[Row]) -> str:
    fitting = [row["batch_size"] for row in rows if row["fits_with_margin"]]
    margin = f"with a margin of {100 * MARGIN:.0f} % of the memory"
    if all(row["fits_with_margin"] is None for row in rows):
        return "what fits into the memory is not known"
    return f"the largest tried that fits {margin}: {max(fitting)}" if fitting else f"none {margin}"
