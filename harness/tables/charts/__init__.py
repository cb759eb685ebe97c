"""One function a figure; `draw` finds it by the name of its table.

Readable in grayscale: markers, line styles and hatches differ, not colors alone.
"""

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.tables.charts import (
    gpu,
    scaling,
    training,
)
from harness.tables.charts.gpu import timeline
from harness.tables.charts.limits import MOST_TIMELINES, readable, timelines_left_out
from harness.tables.charts.parts import CAPTION, caption, figure, title
from harness.tables.charts.training import DIGITS_SHOWN, hardest_digits

__all__ = [
    "CAPTION", "DIGITS_SHOWN", "MOST_TIMELINES", "caption", "draw", "hardest_digits", "timeline",
    "timelines_left_out", "title",
]  # fmt: skip

_CHARTS: dict[str, Callable[[Axes, pd.DataFrame], None]] = {
    "device_speedup": gpu.device_speedup,
    "device_crossover": gpu.device_crossover,
    "device_break_even": gpu.device_break_even,
    "scaling_outlook": scaling.outlook,
    "accuracy": training.accuracy,
    "effective_speedup": training.effective_speedup,
}
_FIGURES: dict[str, Callable[[pd.DataFrame, str], Figure]] = {  # of several panels
    "scaling": scaling.scaling,
    "convergence": training.convergence,
}


_SHOWN: dict[str, Callable[[pd.DataFrame], "pd.Series[bool]"]] = {
    "device_speedup": lambda f: (f["device"] == "gpu") & (f["reference"] == "cpu"),
    "accuracy": lambda f: f["difference"].notna(),
}


def _selected(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows that a chart does not show."""
    return frame[_SHOWN[name](frame)].reset_index(drop=True) if name in _SHOWN else frame


def draw(name: str, frame: pd.DataFrame, caption: str) -> Figure | None:
    """Draw the chart of that name from its summary; None when it holds nothing to draw."""
    rows, left_out = readable(name, _selected(name, frame))
    if rows.empty:
        return None
    if "published" in rows and rows["published"].notna().any():
        caption += "; published: another machine"
    caption = "; ".join((caption, *left_out))
    if name in _FIGURES:
        return _FIGURES[name](rows, caption)
    drawn, (axes,) = figure(caption)
    _CHARTS[name](axes, rows)
    return drawn
