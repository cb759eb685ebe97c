"""Tables of trainings in full: epochs, accuracy, time to a target."""

from collections.abc import Iterator
from typing import Any

from harness import units
from harness.analyze.accuracy import FEWEST_SEEDS, MARGIN
from harness.tables.columns.cells import (
    BACKEND,
    DEVICE,
    SPEEDUP,
    VARIANT,
    Row,
    interval,
    number,
    text,
)
from harness.tables.columns.comparisons import margin_note
from harness.tables.declare import Column

TITLES = {
    "convergence": "Trainings in full",
    "accuracy": "What it costs in accuracy: the same test samples, seed by seed",
    "effective_speedup": "Effective speedup: time to the same accuracy",
}


def _share(value: float) -> str:
    return f"{value:.4f}"


def _shares(value: float, low: float | None, high: float | None) -> str:
    return _share(value) + ("" if low is None else f" [{low:.4f}, {high:.4f}]")


def points_cell(row: Row) -> str:
    """The difference of accuracies in percentage points, with its interval."""
    if row["difference"] is None:
        return units.MISSING
    ends = "" if row["low"] is None else f" [{100 * row['low']:+.2f}, {100 * row['high']:+.2f}]"
    return f"{100 * row['difference']:+.2f}{ends}"


def _reference(row: Row) -> str:
    return f"{row['reference']} {row['reference_batch_size']}"


def _both(name: str) -> Column[Any]:
    """A column of the case's figure against the reference's."""
    headings = {"epochs_to_target": "epochs to it", "target_s": "seconds to it"}

    def cell(row: Row) -> str:
        mine, other = row[name], row[f"reference_{name}"]
        return units.MISSING if mine is None else f"{units.digits(mine)} / {units.digits(other)}"

    return Column(headings[name], cell, rank=2)


def _verdict(row: Row) -> str:
    verdict = row["verdict"]
    return units.MISSING if verdict is None else str(verdict)


_SEEDS = Column("seeds", text("seeds"), rank=4, shared=True)
_BATCH = Column("batch", text("batch_size"))
_CASE: Column[Any] = Column(
    "variant", lambda row: f"{row['variant']} {row['batch_size']}", numeric=False
)
_REFERENCE = Column("against", _reference, numeric=False)
_VERDICT = Column("verdict", _verdict, numeric=False, verdict=lambda row: row["verdict"])

COLUMNS: dict[str, tuple[Column[Any], ...]] = {
    "convergence": (
        VARIANT,
        _BATCH,
        Column("optimizer", text("optimizer"), numeric=False, rank=4),
        BACKEND,
        DEVICE,
        _SEEDS,
        Column("epoch", text("epoch")),
        Column("s/epoch", number("epoch_s", units.digits), rank=2),
        Column("elapsed s", number("elapsed_s", units.digits), rank=1),
        Column("loss", number("loss", _share), rank=3),
        Column("accuracy", number("accuracy", _share), rank=3),
        Column("test loss", number("val_loss", _share), rank=2),
        Column("published", number("published_val_loss", _share), rank=5),
        Column("test accuracy [95 %]", interval("val_accuracy", _shares)),
        Column("published", number("published_val_accuracy", _share)),
    ),
    "accuracy": (
        _CASE,
        BACKEND,
        DEVICE,
        _REFERENCE,
        Column("epochs", lambda row: f"{row['epochs']} / {row['reference_epochs']}", rank=3),
        _SEEDS,
        Column("test accuracy [95 %]", interval("accuracy", _shares), rank=2),
        Column("points [95 %]", points_cell),
        Column("only it right", number("only_case_right", units.digits), rank=3),
        Column("only the other", number("only_reference_right", units.digits), rank=3),
        _VERDICT,
        Column("published", number("published", lambda v: f"{100 * v:+.2f}"), rank=1),
    ),
    "effective_speedup": (
        _CASE,
        BACKEND,
        DEVICE,
        _REFERENCE,
        Column("to accuracy", number("target", lambda v: f"{v:g}"), shared=True),
        _SEEDS,
        _both("epochs_to_target"),
        _both("target_s"),
        Column("an epoch [95 %]", interval("epoch", units.ratio_interval, "epoch_speedup"), rank=1),
        SPEEDUP,
        _VERDICT,
    ),
}  # fmt: skip


def selected(rows: list[Row]) -> list[Row]:
    """Of each training the first and last epoch, and those with published figures."""
    return [
        row
        for row in rows
        if row["epoch"] in (1, row["epochs"]) or row["published_val_accuracy"] is not None
    ]


def notes(name: str, rows: list[Row]) -> Iterator[str]:
    """What a reader must know of single cells."""
    if name == "convergence":
        yield "means over seeds, seconds medians over seeds; times leave out validation"
        yield "loss and accuracy are over the epoch, while the weights changed and with dropout"
        if any(row["published_val_accuracy"] is not None for row in rows):
            yield "published: one training of the report that the variants come from"
    elif name == "accuracy":
        yield from _accuracy_notes(rows)
    else:
        yield (
            "a / b: the variant, and what it is compared with; means over seeds of the epochs, and "
            "of these times the median epoch"
        )
        yield (
            "speedup: that of an epoch, by epochs that took turns without the first ones, times "
            "the ratio of the epochs that were needed"
        )
        if any(row["low"] is not None for row in rows):
            yield margin_note()
        yield from _reasons(rows)


def _accuracy_notes(rows: list[Row]) -> Iterator[str]:
    samples = [row["test_samples"] for row in rows if row["test_samples"]]
    if samples:
        yield (
            f"points: percentage points of accuracy on {units.count(max(samples))} test samples, "
            f"the variant's less the other's; same: within {100 * MARGIN:g}; better or worse: the "
            "whole interval on one side of 0"
        )
    if any(row["seeds"] < FEWEST_SEEDS for row in rows):
        yield f"fewer than {FEWEST_SEEDS} seeds: about these trained models, others may differ"
    for row in rows:
        if row["p_value"] is not None:
            yield f"McNemar's test, {row['variant']} {row['batch_size']}: p = {row['p_value']:.2g}"
    unseen = [
        f"{100 * row['smallest_visible']:.2f} ({row['variant']} {row['batch_size']})"
        for row in rows
        if row["verdict"] == "undecided" and row["smallest_visible"] is not None
    ]
    if unseen:
        yield (
            "no difference shown: smallest one that four of five such trainings would have shown, "
            f"in points: {', '.join(unseen)}"
        )
    yield from _reasons(rows)


def _reasons(rows: list[Row]) -> Iterator[str]:
    """Why a row has no number."""
    return (f"{r['variant']} {r['batch_size']}: {r['reason']}" for r in rows if r["reason"])
