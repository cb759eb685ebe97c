"""What levers bring: alone, on top of each other, and the stack."""

import pandas as pd
from matplotlib.figure import Figure

from harness import units
from harness.tables.charts import parts
from harness.tables.levers import ADDED, ALONE, STACK

_LOOKS = {  # of the bars: label, color, hatch
    ALONE: ("alone, against the plain case", "#56B4E9", ""),
    ADDED: ("on top of those above it", "#E69F00", "//"),
    STACK: ("the whole stack, against the plain case", "#009E73", ".."),
}


def levers(frame: pd.DataFrame, caption: str) -> Figure:
    """A bar a lever from 1, the fastest alone first, then the way to the stack."""
    rows = _ordered(frame)
    height = 1.4 + 0.3 * max(5, len(rows))
    figure, ((axes,),) = parts.grid(caption, 1, 1, (7.2, height))
    first = rows.iloc[0]
    axes.set_title(
        f"Levers on {first.variant} at batch {first.batch_size}, {first.backend}, "
        f"{first.device.upper()}"
        if rows[["variant", "batch_size", "backend", "device"]].drop_duplicates().shape[0] == 1
        else "Levers",
        loc="left", weight="bold",
    )  # fmt: skip
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    for what, (label, color, hatch) in _LOOKS.items():
        chosen = rows[rows["what"] == what]
        if len(chosen):
            axes.barh(
                chosen.index, chosen["speedup"] - 1, 0.7, left=1.0, color=color, hatch=hatch,
                edgecolor="black", linewidth=0.6, label=label,
            )  # fmt: skip
    for place, row in enumerate(parts.rows(rows)):
        if not pd.isna(row.low):
            bar = parts.ends(row.speedup, row.low, row.high)
            axes.errorbar(row.speedup, place, xerr=bar, fmt="none", color="black", capsize=3)
        learned = ", learns differently" if row.loss_verdict == "differs" else ""
        top = max(1.0, row.speedup, 0 if pd.isna(row.high) else row.high)
        parts.beside(axes, units.ratio(row.speedup) + learned, top, place)
    low = min(1.0, rows["speedup"].min(), rows["low"].min())
    high = max(1.0, rows["speedup"].max(), rows["high"].max())
    axes.set_xscale("log")
    axes.set_xlim(0.85 * low, 1.45 * high)
    ticks = parts.nice_ticks(0.85 * low, 1.45 * high)
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.xaxis.set_minor_locator(parts.no_ticks())
    axes.set_yticks(range(len(rows)), [_label(rows, row) for row in parts.rows(rows)], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("speedup (log scale), with 95 % interval")
    parts.legend_below(axes, -0.75 / height)
    return figure


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Those alone by their speedup, then the others as they were tried."""
    alone = frame[frame["what"] == ALONE].sort_values("speedup", ascending=False, kind="stable")
    return pd.concat([alone, frame[frame["what"] != ALONE]], ignore_index=True).astype(
        {"speedup": float, "low": float, "high": float}
    )


def _label(frame: pd.DataFrame, row: "pd.Series[str]") -> str:
    setting = "" if pd.isna(row.setting) else f" {row.setting}"
    lever = "the stack" if row.what == STACK else f"{row.lever}{setting}"
    plus = "+ " if row.what == ADDED else ""
    return plus + lever + parts.also(frame, row, ("variant", "batch_size", "device", "backend"))
