"""Why it is faster: the waterfall of a ladder, the work and the time, the law of the batch size."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units
from harness.analyze.ladder import DIRECT
from harness.tables.charts import parts

_FASTER, _SLOWER, _WHOLE = "#0072B2", "#D55E00", "#999999"


def ladder(frame: pd.DataFrame, caption: str) -> Figure:
    """A waterfall an order of the changes: each bar leads from the product before to its own."""
    orders = list(parts.groups(frame, "order", "device", "backend"))
    figure, panels = parts.figure(caption, len(orders), height=2.0)
    for axes, ((order, device, backend), rows) in zip(panels, orders, strict=True):
        where = "" if frame["device"].nunique() == 1 else f", {device.upper()}"
        where += "" if frame["backend"].nunique() == 1 else f", {backend}"
        _waterfall(axes, rows)
        axes.set_title(f"One change at a time, {order}{where}", loc="left", weight="bold")
    panels[-1].set_xlabel(
        "speedup so far, log scale; bars of error: 95 % interval of that change alone"
    )
    return figure


def _waterfall(axes: Axes, rows: pd.DataFrame) -> None:
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    before, ends, labels = 1.0, [1.0], []
    numbers = ["speedup", "low", "high", "cumulative", "published"]
    rows = rows.astype(dict.fromkeys(numbers, float))  # a missing end is NaN
    for place, row in enumerate(parts.rows(rows)):
        direct = row.rung == DIRECT
        start, value = (1.0, row.speedup) if direct else (before, row.cumulative)
        low, high = (row.low, row.high) if direct else (start * row.low, start * row.high)
        color = _WHOLE if direct else _FASTER if row.speedup >= 1 else _SLOWER
        axes.barh(
            place, value - start, left=start, height=0.6, color=color, edgecolor="black",
            linewidth=0.6, hatch="" if direct or row.speedup >= 1 else "//",
        )  # fmt: skip
        if not pd.isna(low):
            axes.errorbar(
                value, place, xerr=parts.ends(value, low, high), fmt="none", color="black",
                capsize=3, zorder=3,
            )  # fmt: skip
            ends += [low, high]
        ends.append(value)
        text = units.ratio(row.speedup) if direct else f"×{row.speedup:.2f}"
        right = max(start, value, value if pd.isna(high) else high)
        axes.annotate(
            text, (right, place), (5, 0), textcoords="offset points", va="center", fontsize=8
        )
        if not direct:
            axes.plot([value, value], [place, place + 1], color="black", linewidth=0.6)
            before = row.cumulative
        labels.append(row.change)
    known = rows[(rows["rung"] == DIRECT) & rows["published"].notna()]
    for place, value in zip([len(rows) - 1] * len(known), known["published"], strict=True):
        axes.plot([value], [place], marker="X", color="black", markersize=8, linestyle="none")
        parts.beside(axes, f"published {units.ratio(value)}", value, place)
        ends.append(1.12 * value)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(0.93 * min(ends), 1.13 * max(ends))
    ticks = [t for t in _fine_ratios() if 0.93 * min(ends) <= t <= 1.13 * max(ends)]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.minorticks_off()


def _fine_ratios() -> list[float]:
    steps = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 8)
    return [round(step * 10.0**power, 3) for power in range(-2, 3) for step in steps]


def work(frame: pd.DataFrame, caption: str) -> Figure:
    """Sample time over work with the line of the width sweep, and what lies off it.

    A column a batch size and device; all rows belong to a sweep.
    """
    key = ["batch_size", "device", "backend", "threads", "reference"]
    chosen = [(size, device, rows) for (size, device, *_), rows in parts.groups(frame, *key)]
    width = 7.2 if len(chosen) == 1 else 5.0 * len(chosen)
    figure, panels = parts.grid(caption, 2, len(chosen), (width, 6.2), share="col")
    for column, (size, device, rows) in enumerate(chosen):
        above, below = panels[0][column], panels[1][column]
        title = f"The work and the time: batch {size}, {device.upper()}"
        above.set_title(title, loc="left", weight="bold")
        _over_work(above, below, rows)
    return figure


def _over_work(above: Axes, below: Axes, rows: pd.DataFrame) -> None:
    macs = rows["macs_per_sample"].astype(float) / 1e6
    grid = np.geomspace(0.8 * macs.min(), 1.25 * macs.max(), 100)
    fixed, slope = (float(rows[name].iloc[0]) for name in ("line_fixed_us", "line_us_per_mmac"))
    label = f"{units.digits(fixed)} µs + {units.digits(slope)} µs/MMAC: the width sweep"
    curve = fixed + slope * grid
    above.plot(grid, curve, "--", color="#777777", label=label)
    below.axhline(0, color="#777777", linestyle="--")
    for in_sweep, marker, color, name in (
        (True, "o", "#0072B2", "differs from the reference in width alone"),
        (False, "s", "#D55E00", "other variant"),
    ):
        part = rows[rows["in_sweep"] == in_sweep]
        x = macs[part.index]
        ends = part[["speedup", "low", "high"]].astype(float)
        time = part["sample_us"].astype(float)
        bars = [
            (time * (1 - ends["speedup"] / ends["high"])).fillna(0).clip(lower=0),
            (time * (ends["speedup"] / ends["low"] - 1)).fillna(0).clip(lower=0),
        ]
        above.errorbar(x, time, yerr=bars, fmt=marker, color=color, capsize=3, label=name)
        percent = [100 * bar / part["fitted_us"] for bar in bars]
        below.errorbar(
            x, 100 * part["residual"], yerr=percent, fmt=marker, color=color, capsize=3
        )  # fmt: skip
    for index, row in enumerate(parts.rows(rows)):
        left = index % 2 == 1 or index == len(rows) - 1  # neighbors are on different sides
        x, y = row.macs_per_sample / 1e6, 100 * row.residual
        parts.beside(below, row.variant, x, y, left=left)
    above.set_xscale("log")
    above.set_yscale("log")
    for axis, values in ((above.yaxis, rows["sample_us"]), (below.xaxis, macs)):
        ticks = parts.nice_ticks(float(values.min()), float(values.max()))
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_minor_locator(parts.no_ticks())
    above.set_ylabel("µs per sample")
    below.set_ylabel("off the line, %")
    below.set_xlabel("multiply-accumulates of a forward pass, millions a sample (log scale)")
    below.margins(x=0.12, y=0.25)
    above.legend(frameon=False, fontsize=8)


def batch_size_law(axes: Axes, frame: pd.DataFrame) -> None:
    """The share of the overhead in a step over the batch size, where the law holds."""
    axes.set_title("Overhead in a step, by the law of step time", loc="left", weight="bold")
    for index, (label, rows) in enumerate(parts.lines(frame, ("variant", "device"), ("backend",))):
        color = parts.COLORS[index % len(parts.COLORS)]
        known = rows[rows["overhead_share"].notna()]
        if known.empty:
            axes.plot([], [], " ", label=f"{label}: {rows['reason'].iloc[0]}")
            continue
        share = 100 * known[["overhead_share", "overhead_share_low", "overhead_share_high"]].astype(
            float
        )
        axes.plot(
            known["batch_size"], share["overhead_share"], color=color, label=label,
            linestyle=parts.LINES[index % len(parts.LINES)],
        )  # fmt: skip
        for place, value, measured in zip(
            known["batch_size"], share["overhead_share"], known["measured"], strict=True
        ):  # what is only predicted is hollow
            axes.plot(
                [place], [value], color=color, marker=parts.MARKERS[index % len(parts.MARKERS)],
                markerfacecolor=color if measured else "white",
            )  # fmt: skip
        axes.fill_between(
            known["batch_size"], share["overhead_share_low"], share["overhead_share_high"],
            color=color, alpha=0.15, linewidth=0,
        )  # fmt: skip
    parts.batch_axis(axes, frame)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("overhead, % of a step, with 95 % interval")
    axes.legend(frameon=False, fontsize=8)


def law_curve(axes: Axes, rows: pd.DataFrame, index: int, label: str) -> None:
    """Draw the law of one variant with its interval, and what an endless batch would reach."""
    color = parts.COLORS[index % len(parts.COLORS)]
    if rows["reason"].iloc[0]:  # the table says why there is none
        return
    reference = float(rows["reference"].iloc[0])
    grid = np.geomspace(rows["batch_size"].min(), rows["batch_size"].max(), 60)

    def speedup(size: Any, end: str) -> Any:
        return 1 / (1 + float(rows[f"alpha{end}"].iloc[0]) * (1 / size - 1 / reference))

    axes.plot(
        grid, speedup(grid, ""), color=color, linestyle=":", linewidth=1.2, label=f"{label}, law"
    )
    if rows["alpha_low"].notna().all():
        axes.fill_between(
            grid, speedup(grid, "_low"), speedup(grid, "_high"), color=color, alpha=0.12,
            linewidth=0,
        )  # fmt: skip
    limit = speedup(math.inf, "")
    axes.axhline(limit, color=color, linestyle=(0, (1, 4)), linewidth=1)
    axes.annotate(
        f"endless batch {units.ratio(limit)} over {reference:.0f}",
        (1, limit), (-2, 3), ha="right", fontsize=7.5,
        xycoords=("axes fraction", "data"), textcoords="offset points", color=color,
    )  # fmt: skip
