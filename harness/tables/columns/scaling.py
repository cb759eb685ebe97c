"""The table of several devices."""

from collections.abc import Iterator
from typing import Any

from harness import units
from harness.tables.columns.cells import (
    BLOCKS,
    DEVICE,
    SPEEDUP,
    VARIANT,
    Row,
    number,
    percents,
    text,
    verdict_words,
)
from harness.tables.declare import Column

TITLES = {
    "scaling": "Several devices against one, per sample",
    "scaling_outlook": "What many devices would cost, by a model of few",
}


def _verdict(row: Row) -> str:
    return "functional check" if row["functional"] else verdict_words(row["verdict"])


def _loss(row: Row) -> str:
    if row["loss_difference"] is None:
        return units.MISSING
    return f"{100 * row['loss_difference']:+.2g} %"


COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    "scaling": (
        VARIANT,
        Column("backend", text("backend"), numeric=False),
        DEVICE,
        Column("scaling", text("kind"), numeric=False),
        Column("devices", text("replicas")),
        Column("hosts", text("hosts"), usual="1"),
        Column("batch", text("batch_size")),
        Column("against", lambda row: f"{row['reference']} at {row['reference_batch_size']}"),
        SPEEDUP,
        Column("efficiency", percents("efficiency")),
        Column("verdict", _verdict, numeric=False, rank=1),
        Column("communication", number("communication_share", lambda v: f"{100 * v:.1f} %")),
        Column("loss", _loss, rank=1),
        Column("peak MiB", number("peak_rss_mib", lambda v: f"{v:.0f}"), rank=2),
        Column("GPU MiB", number("gpu_memory_mib", lambda v: f"{v:.0f}"), rank=2),
        BLOCKS,
    ),
    "scaling_outlook": (
        VARIANT,
        Column("backend", text("backend"), numeric=False),
        DEVICE,
        Column("scaling", text("kind"), numeric=False),
        Column("measured", text("measured_replicas"), shared=True),
        Column("devices", text("replicas")),
        Column("batch", text("batch_size")),
        Column("computing", number("compute_s", units.seconds), rank=1),
        Column("all-reduce", number("allreduce_s", units.seconds), rank=1),
        Column("speedup", number("speedup", units.ratio)),
        Column("efficiency", number("efficiency", lambda v: f"{100 * v:.0f} %")),
        Column("cost a sample", number("cost", units.ratio)),
    ),
}


def notes(name: str, rows: list[Row]) -> Iterator[str]:
    """What the columns mean, and what logical devices do not show."""
    if name == "scaling_outlook":
        yield (
            "a model, not a measurement: a step is what one device computes and then an all-reduce "
            "in a ring that its bandwidth bounds, as measured; nothing overlaps; latency, slower "
            "links further away and waiting for the slowest device are not in it"
        )
        yield "cost a sample: device time over that of one device"
        if any(row["functional"] for row in rows):
            yield "measured between processes of one machine, which share its cores and memory"
        return
    if any(row["functional"] for row in rows):
        yield (
            "functional check: the devices are logical ones of one CPU, or processes on one, and "
            "share its cores: it works, and this is what it adds, not what further ones would bring"
        )
    yield "efficiency: speedup over the number of devices"
    yield (
        "communication: an all-reduce of arrays like the gradients, by itself, over a step: at "
        "most so much, where a framework reduces while it computes"
    )
    steps = sorted({int(row["early_steps"]) for row in rows if row["early_steps"] is not None})
    if steps:
        yield (
            f"loss: after {' or '.join(map(str, steps))} steps from the same weights and batches, "
            "against that on one device"
        )
    for source in dict.fromkeys(row["memory_source"] for row in rows):
        yield f"memory: {source}"
