"""The table of all measurements."""

from collections.abc import Iterator

from harness import units
from harness.analyze.cautions import SEPARATOR as CAUTION_SEPARATOR
from harness.tables.columns.cells import BACKEND, BLOCKS, DEVICE, VARIANT, Column, Row, number, text

TITLES = {
    "measurements": "Measurements",
}


def _step_cell(row: Row) -> str:
    if row.get("step_us") is None:
        return units.MISSING
    text = units.digits(row["step_us"] / 1e3, 4)
    if row.get("step_us_low") is None:
        return text
    low, high = (units.digits(row[end] / 1e3) for end in ("step_us_low", "step_us_high"))
    return f"{text} [{low}, {high}]"


_EPOCH_MARKS = {
    "projected from fit": ("", "s/epoch: projected from a timed part of Model.fit"),
    "measured": (" m", "m: measured whole"),
    "projected from steps": (" s", "s: projected from the step time, without what Model.fit adds"),
}


def _epoch_cell(row: Row) -> str:
    if row.get("epoch_s") is None:
        return units.MISSING
    text = units.digits(row["epoch_s"])
    if row.get("epoch_s_low") is not None:
        low, high = (units.digits(row[end]) for end in ("epoch_s_low", "epoch_s_high"))
        text += f" [{low}, {high}]"
    return text + _EPOCH_MARKS[row["epoch_s_source"]][0]


COLUMNS: dict[str, tuple[Column, ...]] = {
    "measurements": (
        VARIANT,
        Column("batch", text("batch_size")),
        Column("optimizer", text("optimizer"), numeric=False, rank=4),
        DEVICE,
        Column("threads", text("threads"), shared=True),
        Column("ms/step [95 %]", _step_cell),
        Column("µs/sample", number("sample_us", units.digits), rank=1),
        Column("s/epoch [95 %]", _epoch_cell, rank=2),
        Column("published", number("published_epoch_s", units.digits), rank=4),
        Column("first step s", number("first_step_s", units.digits), rank=5),
        Column("peak MiB", number("peak_rss_mib", lambda v: f"{v:.0f}"), rank=3),
        Column("CPU %", number("cpu_percent", lambda v: f"{v:.0f}"), rank=3),
        Column("GPU %", number("gpu_percent", lambda v: f"{v:.0f}"), rank=2),
        Column("GPU MiB", number("gpu_memory_mib", lambda v: f"{v:.0f}"), rank=3),
        Column("W", number("gpu_power_w", lambda v: f"{v:.0f}"), rank=4),
        Column("mJ/sample", number("joules_per_sample", lambda v: units.digits(1e3 * v)), rank=3),
        BACKEND,
        BLOCKS,
    ),
}  # fmt: skip


def selected(rows: list[Row]) -> list[Row]:
    """All but the unnamed models between the ends of a ladder; one that failed stays."""
    return [row for row in rows if not row["aside"] or row["reason"]]


def notes(name: str, rows: list[Row]) -> Iterator[str]:  # noqa: ARG001  (there is one table)
    """What a reader must know of single cells."""
    yield (
        "a case is over all blocks that it took part in, at different moments: do not divide rows, "
        "see the tables of speedups"
    )
    yield from _epoch_notes(rows)
    yield from _gpu_notes(rows)


def _gpu_notes(rows: list[Row]) -> Iterator[str]:
    """Say where GPU figures are from, and why one is missing."""
    on_gpu = [row for row in rows if row["device"] == "gpu" and row["status"] == "measured"]
    for column, heading in (("gpu_memory", "GPU MiB"), ("gpu_power", "W, mJ/sample")):
        value = {"gpu_memory": "gpu_memory_mib", "gpu_power": "gpu_power_w"}[column]
        sources = {row[f"{column}_source"] for row in on_gpu if row[value] is not None}
        if sources:
            yield f"{heading}: {', '.join(sorted(sources))}"
    if any(row["gpu_percent"] is not None for row in on_gpu):
        yield "GPU %: NVML's share of time with a kernel running; not efficiency"
    missing = dict.fromkeys(
        text for row in on_gpu for text in (row["gpu_missing"] or "").split(CAUTION_SEPARATOR)
    )
    yield from (f"missing: {text}" for text in missing if text)


def _epoch_notes(rows: list[Row]) -> Iterator[str]:
    sources = {row.get("epoch_s_source") for row in rows}
    notes = [note for source, (_, note) in _EPOCH_MARKS.items() if source in sources]
    if notes:
        yield "; ".join(notes)
    if any(row.get("published_epoch_s") for row in rows):
        yield "published: s/epoch in the report that the variants come from, on its own machine"
