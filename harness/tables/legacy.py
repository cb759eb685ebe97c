"""Tables over DataFrames, until each has typed rows in a file of its own."""

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import pandas as pd

from harness.analyze import (
    devices,
    outlook,
    scaling,
    trainings,
)
from harness.analyze.analysis import Analysis
from harness.tables import charts
from harness.tables.columns import gpu as gpu_columns
from harness.tables.columns import scaling as scaling_columns
from harness.tables.columns import training as training_columns
from harness.tables.declare import Chart, Table


class FrameRow(dict[str, Any]):
    """A row of a DataFrame."""

    @property
    def cautions(self) -> tuple[str, ...]:
        """Split what the column joins."""
        return tuple(filter(None, (self.get("cautions") or "").split(" | ")))


class FrameRows(list[Any]):
    """Rows that remember their DataFrame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        super().__init__(FrameRow(row) for row in rows_of(frame))


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """List the rows of a summary; what is missing is None."""
    return [
        {str(key): value for key, value in row.items()}
        for row in frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    ]


def _name(row: Any) -> str:
    return str(row.get("change") or f"{row['variant']} {row['batch_size']}")


def _table(
    name: str, make: Callable[[Analysis], pd.DataFrame], topic: Any, selected: Any = None
) -> Table[Any]:
    return Table(
        name=name,
        title=topic.TITLES[name],
        row=FrameRow,
        rows=lambda analysis: FrameRows(make(analysis)),
        columns=topic.COLUMNS[name],
        notes=lambda rows: topic.notes(name, list(rows)),
        selected=selected or (lambda rows: rows),
        name_of=_name,
        chart=frame_chart(name),
    )


def frame_chart(name: str) -> Chart[Any]:
    """A chart over a DataFrame."""
    return Chart(
        draw=lambda rows, caption: cast(Any, charts.draw(name, pd.DataFrame(rows), caption))
    )


def typed(table: Table[Any]) -> Table[Any]:
    """Give a typed table its chart over a DataFrame."""
    from harness.tables.declare import to_frame

    def draw(rows: list[Any], caption: str) -> Any:
        return charts.draw(table.name, to_frame(table, rows), caption)

    return dataclasses.replace(table, chart=Chart(draw=draw))


DEVICE_CROSSOVER = _table("device_crossover", devices.crossovers, gpu_columns)
DEVICE_BREAK_EVEN = _table("device_break_even", devices.break_evens, gpu_columns)
SCALING = _table("scaling", scaling.scaling, scaling_columns)
SCALING_OUTLOOK = _table("scaling_outlook", outlook.outlook, scaling_columns)
CONVERGENCE = _table(
    "convergence", trainings.convergence, training_columns, training_columns.selected
)
ACCURACY = _table("accuracy", trainings.accuracies, training_columns)
EFFECTIVE_SPEEDUP = _table("effective_speedup", trainings.effective, training_columns)
