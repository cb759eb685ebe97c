"""When the GPU pays: the batch size from which, and the steps after which."""

from collections.abc import Iterator
from typing import Any

from harness import units
from harness.tables.columns.cells import BACKEND, BATCH, BLOCKS, VARIANT, Row, number, text
from harness.tables.declare import Column

TITLES = {
    "device_crossover": "Batch size from which the GPU is as fast as the CPU",
    "device_break_even": "When the GPU has made up for its slower start",
}


def _crossover_cell(row: Row) -> str:
    return _open_interval(row["batch_size"], row["low"], row["high"])


def _break_even_cell(row: Row) -> str:
    return _open_interval(row["pays_after_steps"], row["low"], row["high"])


def _open_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a count with its interval, of which an end may be missing."""
    if value is None:
        return units.MISSING
    if low is None and high is None:
        return _about(value)
    return f"{_about(value)} [{_about(low)}, {_about(high)}]"


def _about(value: float | None) -> str:
    return units.count(value) if value is None or value >= 100 else units.digits(value, 2)


COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    "device_crossover": (
        VARIANT,
        BACKEND,
        Column("from batch", _crossover_cell),
        Column("sizes measured", text("sizes"), shared=True),
        Column("remark", lambda row: row["reason"] or units.MISSING, numeric=False),
    ),
    "device_break_even": (
        VARIANT,
        BACKEND,
        BATCH,
        Column("ready s, GPU", number("ready_s", units.digits), rank=1),
        Column("ready s, CPU", number("reference_ready_s", units.digits), rank=1),
        Column("pays after steps", _break_even_cell),
        Column("epochs", number("pays_after_epochs", units.digits)),
        Column("remark", lambda row: row["reason"] or units.MISSING, numeric=False),
        BLOCKS,
    ),
}  # fmt: skip


def notes(name: str, rows: list[Row]) -> Iterator[str]:  # noqa: ARG001  (they hold for every row)
    """What a reader must know of single cells."""
    if name == "device_crossover":
        yield "in brackets 95 %; log speedup is taken as linear in log batch size between two sizes"
    else:
        yield (
            "in brackets 95 %; ready: from the start of a worker to the end of its first step, "
            "without the import of the framework"
        )
