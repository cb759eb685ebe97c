"""Every table of a run, one file per topic."""

from typing import TYPE_CHECKING, Any

from harness.analyze.analysis import Analysis
from harness.tables import legacy
from harness.tables.declare import Table, to_frame
from harness.tables.legacy import (
    ACCURACY,
    BATCH_SIZE_LAW,
    BATCH_SIZE_SEARCH,
    BOTTLENECK,
    CONVERGENCE,
    DEVICE_BREAK_EVEN,
    DEVICE_CROSSOVER,
    EFFECTIVE_SPEEDUP,
    LADDER,
    SCALING,
    SCALING_OUTLOOK,
    WORK,
)
from harness.tables.levers import LEVERS
from harness.tables.measurements import MEASUREMENTS
from harness.tables.speedups import (
    BACKEND_SPEEDUP,
    BATCH_SIZE_SPEEDUP,
    DEVICE_SPEEDUP,
    MODEL_SIZE_SPEEDUP,
    THREAD_SPEEDUP,
)

if TYPE_CHECKING:
    import pandas as pd

# In the order in which they are shown.
TABLES: tuple[Table[Any], ...] = (
    legacy.typed(MEASUREMENTS),
    BATCH_SIZE_SEARCH,
    legacy.typed(BATCH_SIZE_SPEEDUP),
    BATCH_SIZE_LAW,
    legacy.typed(MODEL_SIZE_SPEEDUP),
    WORK,
    LADDER,
    legacy.typed(DEVICE_SPEEDUP),
    DEVICE_CROSSOVER,
    DEVICE_BREAK_EVEN,
    legacy.typed(BACKEND_SPEEDUP),
    legacy.typed(THREAD_SPEEDUP),
    legacy.typed(LEVERS),
    SCALING,
    SCALING_OUTLOOK,
    BOTTLENECK,
    CONVERGENCE,
    ACCURACY,
    EFFECTIVE_SPEEDUP,
)


def frame(analysis: Analysis, name: str) -> "pd.DataFrame":
    """Return a table of a run as a DataFrame, with the columns of its CSV file.

    Raises:
        KeyError: there is no such table.
    """
    table = {table.name: table for table in TABLES}[name]
    rows = analysis.rows(table)
    return rows.frame if isinstance(rows, legacy.FrameRows) else to_frame(table, rows)
