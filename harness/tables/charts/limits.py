"""How much of a table its chart shows: as many rows, lines or panels as can be read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness import units

MOST_BARS = 18  # a row each, with its label: more than a page
MOST_LEVERS = 32  # so many are tried alone and stacked
MOST_GROUPS = 12  # of three bars each
MOST_LINES = 6  # as many as there are colors and markers
MOST_PANELS = 6
MOST_TIMELINES = 24  # files, one a case on a GPU


@dataclass(frozen=True, slots=True)
class Limit:
    """What is left out where a chart would show too much.

    Attributes:
        most: How many are shown.
        what: Their name, in the plural.
        by: Columns that tell one from another; none where each row is one.
        effect: Column by which the most telling ones are chosen; empty for the first ones.
        size: From the values of that column to what is larger for a more telling one.
    """

    most: int
    what: str
    by: tuple[str, ...] = ()
    effect: str = ""
    size: Callable[[pd.Series], pd.Series] = np.abs


def _ratio(values: pd.Series) -> pd.Series:
    return pd.Series(np.log(values)).abs()


_LINE = ("variant", "device", "backend")
_LIMITS: dict[str, tuple[Limit, ...]] = {
    "measurements": (Limit(MOST_BARS, "cases"),),
    "bottleneck": (Limit(MOST_BARS, "cases"),),
    "batch_size_search": (Limit(MOST_LINES, "lines", _LINE),),
    "batch_size_speedup": (Limit(MOST_LINES, "lines", _LINE, "speedup", _ratio),),
    "batch_size_law": (Limit(MOST_LINES, "lines", _LINE, "overhead_share"),),
    "model_size_speedup": (Limit(MOST_GROUPS, "comparisons", (), "speedup", _ratio),),
    "work": (
        Limit(MOST_PANELS // 2, "panels", ("batch_size", "device", "backend", "threads",
              "reference")),
        Limit(MOST_BARS, "variants", ("variant",), "residual"),
    ),
    "scaling_outlook": (Limit(MOST_LINES, "lines", ("variant", "kind", "backend", "device",
              "measured_replicas")),),
    "scaling": (Limit(MOST_GROUPS, "comparisons"),),
    "levers": (Limit(MOST_LEVERS, "levers"),),
    "ladder": (Limit(MOST_PANELS, "ladders", ("order", "device", "backend")),),
    "backend_speedup": (
        Limit(MOST_LINES, "groups of bars", ("variant", "device", "batch_size"), "speedup", _ratio),
    ),
    "thread_speedup": (
        Limit(MOST_LINES, "lines", ("variant", "batch_size", "backend"), "speedup", _ratio),
    ),
    "device_speedup": (Limit(MOST_LINES, "lines", ("variant", "backend"), "speedup", _ratio),),
    "device_crossover": (Limit(MOST_BARS, "rows"),),
    "device_break_even": (Limit(MOST_BARS, "rows"),),
    "convergence": (
        Limit(MOST_LINES, "lines", ("variant", "batch_size", "epochs", "device", "backend")),
    ),
    "accuracy": (Limit(MOST_BARS, "rows", (), "difference"),),
    "effective_speedup": (Limit(MOST_LINES, "pairs of bars", (), "speedup", _ratio),),
}  # fmt: skip


def readable(name: str, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep what can be read of a table, in its order.

    Returns:
        The rows that are shown, and a line for each kind of thing that is left out.
    """
    left_out = []
    for limit in _LIMITS[name]:
        number = _numbered(frame, limit.by)
        found = number.nunique()
        if found > limit.most:
            frame = frame[number.isin(_chosen(limit, frame, number))]
            which = "those of the largest effects" if limit.effect else "the first ones"
            left_out.append(_left_out(found - limit.most, found, limit.what, which, "the table"))
    return frame, left_out


def timelines_left_out(cases: int) -> list[str]:
    """A line on the cases on a GPU whose readings have no chart, if there are any."""
    left = cases - MOST_TIMELINES
    return [_left_out(left, cases, "cases", "the first ones", "run.json")] if left > 0 else []


def _left_out(left: int, found: int, what: str, which: str, where: str) -> str:
    return (
        f"left out: {units.count(left)} of {units.count(found)} {what}; {which} are shown, "
        f"{where} has all"
    )


def _numbered(frame: pd.DataFrame, by: tuple[str, ...]) -> pd.Series:
    """Which of the things that can be left out each row belongs to."""
    if not by:
        return pd.Series(range(len(frame)), frame.index)
    return frame.groupby(list(by), sort=False, dropna=False).ngroup()


def _chosen(limit: Limit, frame: pd.DataFrame, number: pd.Series) -> list[Any]:
    if not limit.effect:
        return list(number.unique()[: limit.most])
    sizes = limit.size(frame[limit.effect].astype(float)).groupby(number).max()
    return list(sizes.sort_values(ascending=False, kind="stable").index[: limit.most])  # NaN last
