"""The figures of the report that the bundled variants come from, beside what was trained alike."""

import csv
import functools
from collections import defaultdict
from importlib import resources

from harness.records import Case, Measurement, Run, Training

_FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
# The report's test loss and test accuracy are of the same test samples.
_NAMES = {"test_loss": "val_loss", "test_accuracy": "val_accuracy"}


@functools.cache
def _rows() -> list[dict[str, str]]:
    text = resources.files("harness.analyze").joinpath("published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _of(case: Case, run: Run) -> list[dict[str, str]]:
    """Return the rows of a case that trained what the report did: its data, CPUs, optimizer."""
    everything = case.device == "gpu" or case.threads == run.machine.usable_cpus
    own = case.optimizer is None and case.loss is None
    if not (everything and own and case.dataset == "mnist" and case.backend == "tensorflow"):
        return []
    named = {"variant": case.variant, "device": case.device, "batch_size": str(case.batch_size)}
    return [row for row in _rows() if named.items() <= row.items()]


def epoch_seconds(case: Case, run: Run) -> float | None:
    """Return the published seconds per epoch; None where the case was not published."""
    times = [float(row["value"]) for row in _of(case, run) if row["quantity"] == "epoch_time"]
    return times[0] if times else None


def speedup(m: Measurement, run: Run) -> float | None:
    """Return the published speedup of a case over another; None unless both are published."""
    here, there = (epoch_seconds(case, run) for case in (m.case, m.reference))
    return None if here is None or there is None or m.case == m.reference else there / here


def published_epochs(training: Training, run: Run) -> dict[int, dict[str, float]]:
    """Return figures by epoch and Keras's names; empty unless the whole training was published."""
    figures: dict[int, dict[str, float]] = defaultdict(dict)
    for row in _of(training.recipe.case, run):
        name = _NAMES.get(row["quantity"], row["quantity"])
        if name in _FIGURES:
            figures[int(row["epoch"])][name] = float(row["value"])
    return dict(figures) if training.recipe.epochs == max(figures, default=None) else {}
