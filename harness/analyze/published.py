"""The figures of the report that the bundled variants come from."""

import csv
import functools
from collections import defaultdict
from importlib import resources

_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@functools.cache
def _rows() -> list[dict[str, str]]:
    text = resources.files("harness.analyze").joinpath("published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@functools.cache
def epoch_seconds() -> dict[tuple[str, str, int], float]:
    """Return published seconds per epoch by (variant, device, batch size)."""
    return {
        (row["variant"], row["device"], int(row["batch_size"])): float(row["value"])
        for row in _rows()
        if row["quantity"] == "epoch_time"
    }


def training(variant: str, device: str, batch_size: int) -> dict[int, dict[str, float]]:
    """Return published figures of a full training, by epoch and name.

    The names are those of Keras: `loss`, `accuracy`, `val_loss`, `val_accuracy`. The report's
    test loss and test accuracy are of the same test samples.
    """
    names = {"test_loss": "val_loss", "test_accuracy": "val_accuracy"}
    figures: dict[int, dict[str, float]] = defaultdict(dict)
    for row in _rows():
        name = names.get(row["quantity"], row["quantity"])
        case = (row["variant"], row["device"], row["batch_size"])
        if name in _FIGURES and case == (variant, device, str(batch_size)):
            figures[int(row["epoch"])][name] = float(row["value"])
    return dict(figures)


def speedup(case: tuple[str, str, int], reference: tuple[str, str, int]) -> float | None:
    """Return the published speedup of a case over a reference; None unless both are published."""
    published = epoch_seconds()
    if case not in published or reference not in published:
        return None
    return published[reference] / published[case]
