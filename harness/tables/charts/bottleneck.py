"""The shares that may decide the time of each case, beside their thresholds."""

import pandas as pd
from matplotlib.figure import Figure

from harness.analyze.bottleneck import BOUNDS
from harness.tables.charts import parts

_LOOKS = {  # by verdict: name, color, hatch; light and dark apart, for grayscale
    "input-bound": ("what fit adds", "#E69F00", "//"),
    "overhead-bound": ("overhead", "#ffffff", ".."),
    "memory-bound": ("memory, low count", "#bbbbbb", "xx"),
    "compute-bound": ("arithmetic, high count", "#0072B2", ""),
}


def bottleneck(frame: pd.DataFrame, caption: str) -> Figure:
    """A bar a share and case with its interval; a mark stands where it begins to decide."""
    bounds = [bound for bound in BOUNDS if frame[bound.share].notna().any()]
    height = 1.6 + (0.12 + 0.11 * len(bounds)) * len(frame)
    thick = 0.8 / max(1, len(bounds))
    figure, ((axes,),) = parts.grid(caption, 1, 1, (7.2, height))
    axes.set_title("What decides the time: shares of a step", loc="left", weight="bold")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    for index, bound in enumerate(bounds):
        name, color, hatch = _LOOKS[bound.verdict]
        ends = [bound.share, f"{bound.share}_low", f"{bound.share}_high"]
        share = 100 * frame[ends].astype(float)
        known = share[bound.share].notna()
        places = pd.Series(frame.index + (index - (len(bounds) - 1) / 2) * thick)[known]
        value, low, high = (share[end][known] for end in ends)
        axes.barh(places, value, thick, color=color, hatch=hatch, edgecolor="black",
                  linewidth=0.6, label=name)  # fmt: skip
        bars = [(value - low).fillna(0).clip(lower=0), (high - value).fillna(0).clip(lower=0)]
        axes.errorbar(value, places, xerr=bars, fmt="none", color="black", capsize=2, linewidth=1)
        axes.scatter(
            [100 * bound.threshold] * len(places), places, marker="d", s=22, color="white",
            edgecolors="black", linewidths=0.8, zorder=4,
        )  # fmt: skip
    axes.scatter([], [], marker="d", s=22, color="white", edgecolors="black",
                 label="decides from here on")  # fmt: skip
    labels = [
        f"{row.variant}, batch {row.batch_size}"
        + parts.also(frame, row, ("device", "backend", "precision", "dataset"))
        + (f", {parts.threads(row.threads)}" if frame["threads"].nunique() > 1 else "")
        + f"\n{row.verdict}"
        for row in parts.rows(frame)
    ]
    axes.set_yticks(range(len(frame)), labels, fontsize=8)
    axes.set_ylim(len(frame) - 0.5, -0.5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("% of a step's time, with 95 % interval")
    parts.legend_below(axes, -0.7 / height)
    return figure
