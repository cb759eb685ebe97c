"""Tables of speedups along one axis."""

from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze.cases import AXES
from harness.analyze.stats import MARGIN
from harness.tables.columns.cells import (
    BACKEND,
    BATCH,
    BLOCKS,
    DEVICE,
    PUBLISHED,
    REFERENCE,
    SPEEDUP,
    THREADS,
    VARIANT,
    VERDICT,
    Column,
    Row,
    number,
    text,
)

TITLES = {
    "batch_size_speedup": "Speedup by batch size, per sample",
    "model_size_speedup": "Speedup by model, per sample, at the same batch size",
    "device_speedup": "Speedup by device, per sample",
    "backend_speedup": "Speedup by Keras backend, per sample",
    "thread_speedup": "Speedup by CPU threads",
}
_MARGIN = f"{100 * MARGIN:g} %"


def _epoch_speedup_cell(row: Row) -> str:
    if row["epoch_speedup"] is None:
        return units.MISSING
    return units.ratio_interval(row["epoch_speedup"], row["epoch_low"], row["epoch_high"])


COLUMNS: dict[str, tuple[Column, ...]] = {
    "batch_size_speedup": (
        VARIANT, BACKEND, DEVICE, BATCH, REFERENCE, SPEEDUP, VERDICT, PUBLISHED, BLOCKS,
    ),
    "model_size_speedup": (
        VARIANT,
        BACKEND,
        DEVICE,
        BATCH,
        REFERENCE,
        Column("fewer params", number("parameter_ratio", units.ratio)),
        Column("fewer MACs", number("mac_ratio", units.ratio)),
        SPEEDUP,
        VERDICT,
        PUBLISHED,
        BLOCKS,
    ),
    "device_speedup": (
        VARIANT,
        BACKEND,
        BATCH,
        Column("device", text("device_name"), numeric=False, shared=True),
        Column("against", text("reference"), shared=True),
        SPEEDUP,
        VERDICT,
        Column("epoch speedup", _epoch_speedup_cell, rank=3),
        PUBLISHED,
        BLOCKS,
    ),
    "backend_speedup": (
        VARIANT,
        DEVICE,
        BATCH,
        Column("backend", text("backend"), numeric=False),
        REFERENCE,
        Column("jit", lambda row: "yes" if row["jit"] else "no", numeric=False, rank=2),
        SPEEDUP,
        VERDICT,
        BLOCKS,
    ),
    "thread_speedup": (
        VARIANT,
        BACKEND,
        BATCH,
        THREADS,
        REFERENCE,
        SPEEDUP,
        Column("efficiency", number("efficiency", lambda v: f"{100 * v:.0f} %")),
        VERDICT,
        BLOCKS,
    ),
}  # fmt: skip


def notes(name: str, rows: list[Row]) -> Iterator[str]:
    """What a reader must know of single cells."""
    if name == "model_size_speedup":
        uncounted = {r["variant"]: r["macs_source"] for r in rows if r["macs_per_sample"] is None}
        yield from (f"MACs of {variant}: {why}" for variant, why in uncounted.items())
    yield from judged_notes(rows, "variant", "batch_size", AXES[name])


def judged_notes(rows: list[Row], *names: str) -> Iterator[str]:
    """How speedups are judged, and what could not be seen.

    Args:
        rows: Of a table of speedups.
        names: Columns that tell a row from the others.
    """
    unseen = [
        f"{100 * row['smallest_visible']:.0f} % ({_named(row, names)})"
        for row in rows
        if row["verdict"] == "inconclusive"
        and not row["noise_floor"]
        and row["smallest_visible"] is not None
    ]
    if any(row["verdict"] is not None for row in rows):
        yield margin_note()
    if unseen:
        yield (
            "no difference shown: smallest one that four of five such runs would have shown: "
            + ", ".join(unseen)
        )
    if any(row["noise_floor"] for row in rows):
        yield "noise floor: the reference against itself; its interval should hold 1"
    if any(row.get("published") for row in rows):
        yield "published: from the report that the variants come from, on its own machine"


def margin_note() -> str:
    """How a speedup is judged."""
    return f"verdict: faster or slower where the whole interval lies {_MARGIN} or more from 1"


def _named(row: Row, names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(str(row[name]) for name in names))
