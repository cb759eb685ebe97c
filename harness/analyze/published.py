"""The published figures beside which ours are shown."""

import csv
from importlib import resources


def epoch_seconds() -> dict[tuple[str, str, int], float]:
    """Return published seconds an epoch by (variant, device, batch size)."""
    text = resources.files("harness").joinpath("data/published.csv").read_text(encoding="utf-8")
    return {
        (row["variant"], row["device"], int(row["batch_size"])): float(row["value"])
        for row in csv.DictReader(text.splitlines())
        if row["quantity"] == "epoch_time"
    }


def speedup(case: tuple[str, str, int], reference: tuple[str, str, int]) -> float | None:
    """Return the published speedup of a case over a reference, if both were published."""
    published = epoch_seconds()
    if case not in published or reference not in published:
        return None
    return published[reference] / published[case]
