"""What the tables hold: a file a topic, each with `TITLES`, `COLUMNS` and `notes(name, rows)`."""

from collections.abc import Iterator

from harness.tables.columns import (
    bottleneck,
    comparisons,
    gpu,
    levers,
    measurements,
    scaling,
    search,
    training,
    why,
)
from harness.tables.columns.cells import Column, Row
from harness.tables.verdicts import VERDICTS

__all__ = ["COLUMNS", "TITLES", "VERDICTS", "notes", "selected"]

_TOPICS = (measurements, search, comparisons, levers, scaling, gpu, why, bottleneck, training)
TITLES = {name: title for topic in _TOPICS for name, title in topic.TITLES.items()}
COLUMNS: dict[str, tuple[Column, ...]] = {
    name: columns for topic in _TOPICS for name, columns in topic.COLUMNS.items()
}


def notes(name: str, rows: list[Row]) -> Iterator[str]:
    """What a reader must know of single cells of a table, a line each."""
    for topic in _TOPICS:
        if name in topic.COLUMNS:
            yield from topic.notes(name, rows)


def selected(name: str, rows: list[Row]) -> list[Row]:
    """The rows of a summary that its table shows; the CSV file has all."""
    chosen = {
        "bottleneck": bottleneck.selected,
        "convergence": training.selected,
        "measurements": measurements.selected,
    }
    return chosen[name](rows) if name in chosen else rows
