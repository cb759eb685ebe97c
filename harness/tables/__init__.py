"""Every table of a run, one file per topic."""

from typing import TYPE_CHECKING, Any

from harness.analyze.analysis import Analysis
from harness.tables import legacy
from harness.tables.batch_size_law import BATCH_SIZE_LAW
from harness.tables.batch_size_search import BATCH_SIZE_SEARCH
from harness.tables.bottleneck import BOTTLENECK
from harness.tables.declare import Table, to_frame
from harness.tables.ladder import LADDER
from harness.tables.legacy import (
    ACCURACY,
    CONVERGENCE,
    DEVICE_BREAK_EVEN,
    DEVICE_CROSSOVER,
    EFFECTIVE_SPEEDUP,
    SCALING,
    SCALING_OUTLOOK,
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
from harness.tables.work import WORK

if TYPE_CHECKING:
    import pandas as pd

# In the order in which they are shown.
TABLES: tuple[Table[Any], ...] = (
    MEASUREMENTS,
    BATCH_SIZE_SEARCH,
    BATCH_SIZE_SPEEDUP,
    BATCH_SIZE_LAW,
    MODEL_SIZE_SPEEDUP,
    WORK,
    LADDER,
    legacy.typed(DEVICE_SPEEDUP),
    DEVICE_CROSSOVER,
    DEVICE_BREAK_EVEN,
    BACKEND_SPEEDUP,
    THREAD_SPEEDUP,
    LEVERS,
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
