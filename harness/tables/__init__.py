"""Every table of a run, one file per topic."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from harness.analyze.analysis import Analysis
from harness.tables.accuracy import ACCURACY, EFFECTIVE_SPEEDUP
from harness.tables.batch_sizes import BATCH_SIZE_LAW, BATCH_SIZE_SEARCH
from harness.tables.bottleneck import BOTTLENECK
from harness.tables.declare import Table, to_frame
from harness.tables.device import DEVICE_BREAK_EVEN, DEVICE_CROSSOVER, timelines
from harness.tables.ladder import LADDER
from harness.tables.levers import LEVERS
from harness.tables.measurements import MEASUREMENTS
from harness.tables.scaling import SCALING, SCALING_OUTLOOK
from harness.tables.speedups import (
    BACKEND_SPEEDUP,
    BATCH_SIZE_SPEEDUP,
    DEVICE_SPEEDUP,
    MODEL_SIZE_SPEEDUP,
    THREAD_SPEEDUP,
)
from harness.tables.trainings import CONVERGENCE, hardest_digits
from harness.tables.work import WORK

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# In the order in which they are shown.
TABLES: tuple[Table[Any], ...] = (
    MEASUREMENTS,
    BATCH_SIZE_SEARCH,
    BATCH_SIZE_SPEEDUP,
    BATCH_SIZE_LAW,
    MODEL_SIZE_SPEEDUP,
    WORK,
    LADDER,
    DEVICE_SPEEDUP,
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

# Charts of a run that belong to no table, by name.
MORE_CHARTS: tuple[Callable[[Analysis, str], Iterator[tuple[str, "Figure"]]], ...] = (
    timelines,
    hardest_digits,
)


def frame(analysis: Analysis, name: str) -> "pd.DataFrame":
    """Return a table of a run as a DataFrame, with the columns of its CSV file.

    Raises:
        KeyError: there is no such table.
    """
    table = {table.name: table for table in TABLES}[name]
    rows = analysis.rows(table)
    return to_frame(table, rows)
