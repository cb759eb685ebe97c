"""The table of levers."""

from collections.abc import Iterator

from harness import units
from harness.analyze.levers import ADDED, ALONE, LOSS_MARGIN, STACK
from harness.tables.columns.cells import (
    BACKEND,
    BATCH,
    BLOCKS,
    DEVICE,
    SPEEDUP,
    VARIANT,
    Column,
    Row,
    number,
    text,
    verdict_words,
)

TITLES = {"levers": "Levers: speedup against the plain case, and the best stack"}


def _lever(row: Row) -> str:
    setting = "" if row["setting"] is None else f" {row['setting']}"
    if row["what"] == ADDED:
        return f"+ {row['lever']}{setting}"
    return f"all: {row['lever']}" if row["what"] == STACK else f"{row['lever']}{setting}"


def _speedup(row: Row) -> str:
    return SPEEDUP.cell(row) if row["speedup"] is not None else units.MISSING


def _verdict(row: Row) -> str:
    return verdict_words(row["verdict"]) if row["status"] == "measured" else str(row["status"])


def _loss(row: Row) -> str:
    if row["loss"] is None:
        return units.MISSING
    shown = f"{100 * row['loss_difference']:+.1f} %"
    return f"{shown} !" if row["loss_verdict"] == "differs" else shown


def _pays(row: Row) -> str:
    if row["status"] != "measured":
        return units.MISSING
    return "never" if row["pays_after_steps"] is None else units.count(row["pays_after_steps"])


COLUMNS: dict[str, tuple[Column, ...]] = {
    "levers": (
        Column("variant", VARIANT.cell, numeric=False, shared=True),
        BATCH,
        DEVICE,
        BACKEND,
        Column("lever", _lever, numeric=False),
        Column("speedup [95 %]", _speedup),
        Column("verdict", _verdict, numeric=False),
        Column("taken", lambda row: "yes" if row["in_stack"] else "no", numeric=False, rank=2,
               usual="no"),
        Column("loss", _loss, rank=1),
        Column("first step s", number("first_step_s", units.digits), rank=4),
        Column("pays after", _pays, rank=3),
        Column("peak MiB", number("peak_rss_mib", lambda v: f"{v:.0f}"), rank=4),
        Column("by", text("compared_by"), numeric=False, rank=5, usual="steps"),
        BLOCKS,
    ),
}  # fmt: skip


def notes(_: str, rows: list[Row]) -> Iterator[str]:
    """What the columns mean, what cannot be tried here, and what a lever needs."""
    if any(row["what"] == ADDED for row in rows):
        yield "+ on top of those taken before; taken where the whole interval is above 1 there, too"
    steps = sorted({int(row["early_steps"]) for row in rows if row["early_steps"] is not None})
    if steps:
        many = " or ".join(map(str, steps))
        yield (
            f"loss: after {many} steps from the same weights, against that without the lever; "
            f"! is more than {100 * LOSS_MARGIN:.0f} % apart: it changes what is learned"
        )
    if any(row["pays_after_steps"] is not None for row in rows):
        yield "pays after: steps that make up for a slower first step"
    if any(row["compared_by"] == "fit" for row in rows):
        yield "by fit: compared by Model.fit, whose way to its batches is what is changed"
    for row in rows:
        if row["what"] == ALONE and row["status"] != "measured":
            yield f"{_lever(row)}: {row['reason']}"
    for row in rows:
        if row["note"] and row["what"] == ALONE:
            yield f"{_lever(row)}: {row['note']}"
