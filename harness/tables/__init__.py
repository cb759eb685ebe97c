"""Every table of a run, one file per topic."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from harness.analyze.analysis import Analysis
from harness.tables import (
    batch_sizes,
    device,
    keras_examples,
    levers,
    measurements,
    scaling,
    speedups,
    versions,
)
from harness.tables.declare import Table, to_frame
from harness.tables.drawing import Figure
from harness.tables.explain import bottleneck, ladder, layer_changes, layers, memory, work
from harness.tables.training import accuracy, convergence

if TYPE_CHECKING:
    import pandas as pd

# In the order in which they are shown.
TABLES: tuple[Table[Any], ...] = (
    measurements.MEASUREMENTS,
    versions.VERSION_SPEEDUP,
    batch_sizes.BATCH_SIZE_SEARCH,
    speedups.BATCH_SIZE_SPEEDUP,
    batch_sizes.BATCH_SIZE_LAW,
    speedups.MODEL_SIZE_SPEEDUP,
    work.WORK,
    ladder.LADDER,
    layers.LAYERS,
    layer_changes.LAYER_CHANGES,
    memory.MEMORY,
    speedups.DEVICE_SPEEDUP,
    device.DEVICE_CROSSOVER,
    device.DEVICE_BREAK_EVEN,
    speedups.BACKEND_SPEEDUP,
    speedups.THREAD_SPEEDUP,
    levers.LEVERS,
    scaling.SCALING,
    scaling.SCALING_OUTLOOK,
    bottleneck.BOTTLENECK,
    keras_examples.KERAS_EXAMPLES,
    convergence.CONVERGENCE,
    accuracy.ACCURACY,
    accuracy.EFFECTIVE_SPEEDUP,
)

# Charts of a run that belong to no table, by name.
MORE_CHARTS: tuple[Callable[[Analysis, str], Iterator[tuple[str, Figure]]], ...] = (
    device.timelines,
    convergence.hardest_digits,
)


def frame(analysis: Analysis, name: str) -> "pd.DataFrame":
    """Return a table of a run as a DataFrame, with the columns of its CSV file.

    Raises:
        KeyError: there is no such table.
    """
    table = {table.name: table for table in TABLES}[name]
    return to_frame(table, analysis.rows(table))
