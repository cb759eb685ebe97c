"""One function a figure.

Readable in grayscale: markers, line styles and hatches differ, not colors alone.
"""

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units

# Okabe and Ito's colors, told apart by the color-blind; dark enough on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":")


def draw(name: str, frame: pd.DataFrame, caption: str) -> Figure:
    """Draw the chart of that name from its summary."""
    mpl.rcParams.update({"font.size": 10, "svg.fonttype": "none"})
    figure = Figure(figsize=(7.2, 4.6), dpi=140, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    _CHARTS[name](axes, frame)
    if "published" in frame and frame["published"].notna().any():
        caption += "; published: another machine"
    figure.text(0.01, -0.01, textwrap.fill(caption, 120), fontsize=7.5, color="#444444", va="top")
    return figure


def _batch_size_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    references = ", ".join(sorted(set(frame["reference"])))
    axes.set_title(f"Speedup by batch size, against {references}", loc="left", weight="bold")
    for index, (key, rows) in enumerate(_groups(frame, "variant", "device")):
        places = rows["batch_size"] * 1.03**index  # so that intervals do not cover each other
        _line(axes, index, places, rows, f"{key[0]}, {key[1].upper()}")
        _published(axes, places, rows, f"{key[0]}, published")
    axes.set_xscale("log", base=2)
    sizes = sorted(set(frame["batch_size"]))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("batch size (samples a step)")
    _speedup_axis(axes)
    axes.legend(frameon=False)


def _thread_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_title("Speedup by CPU threads", loc="left", weight="bold")
    threads = sorted(set(frame["threads"]))
    axes.plot(threads, [t / threads[0] for t in threads], ":", color="#777777", label="ideal")
    for index, (key, rows) in enumerate(_groups(frame, "variant", "batch_size")):
        _line(axes, index, rows["threads"], rows, f"{key[0]}, batch {key[1]}")
    axes.set_xticks(threads)
    axes.set_xlabel("CPU threads")
    _speedup_axis(axes)
    axes.legend(frameon=False)


def _model_size_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_title("Speedup by model, beside what shrank", loc="left", weight="bold")
    rows = frame[frame["variant"] != frame["reference"]]
    positions = range(len(rows))
    width = 0.26
    bars = (
        ("speedup", "measured speedup", -width, "#0072B2", ""),
        ("mac_ratio", "fewer multiply-accumulates", 0.0, "#bbbbbb", "//"),
        ("parameter_ratio", "fewer parameters", width, "#ffffff", ".."),
    )
    for column, label, shift, color, hatch in bars:
        places = [p + shift for p in positions]
        values = rows[column].astype(float)  # a missing ratio has no bar
        axes.bar(
            places, values, width, label=label, color=color, hatch=hatch, edgecolor="black",
            linewidth=0.6,
        )  # fmt: skip
        for place, value in zip(places, values, strict=True):
            if math.isnan(value):
                continue
            axes.annotate(
                units.ratio(value), (place, value), (0, 9), textcoords="offset points", ha="center",
                fontsize=8,
            )  # fmt: skip
    measured = [p - width for p in positions]
    _interval_bars(axes, measured, rows, "black")
    _published(axes, pd.Series(measured, rows.index), rows, "published speedup")
    axes.set_yscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    axes.set_yticks(ticks, [f"{tick:g}×" for tick in ticks])
    ratios = rows[[column for column, *_ in bars]].astype(float)
    axes.set_ylim(0.8 * min(1.0, ratios.min().min()), 3 * max(2.0, ratios.max().max()))
    labels = [f"{row.variant} / {row.reference}\nbatch {row.batch_size}" for row in _rows(rows)]
    axes.set_xticks(list(positions), labels)
    axes.set_ylabel("reference / case (log scale)")
    axes.legend(frameon=False, loc="upper left", ncols=2, fontsize=8)


def _measurements(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_title("Step time, per sample", loc="left", weight="bold")
    rows = frame[frame["status"] == "measured"]
    labels = [
        f"{r.variant}, batch {r.batch_size}\n{r.device.upper()}, {_threads(r.threads)}"
        for r in _rows(rows)
    ]
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    axes.barh(labels, rows["sample_us"], color="#56B4E9", edgecolor="black", linewidth=0.6)
    low = rows["sample_us"] - rows["step_us_low"] / rows["batch_size"]
    high = rows["step_us_high"] / rows["batch_size"] - rows["sample_us"]
    axes.errorbar(
        rows["sample_us"], labels, xerr=[low.fillna(0), high.fillna(0)], fmt="none", color="black",
        capsize=3,
    )  # fmt: skip
    for label, end, step_us in zip(
        labels, rows["sample_us"] + high.fillna(0), rows["step_us"], strict=True
    ):
        axes.annotate(
            f"{units.seconds(step_us / 1e6)}/step", (end, label), (6, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.margins(x=0.18)
    axes.invert_yaxis()
    axes.set_xlabel("µs per sample, with 95 % interval")


_CHARTS: dict[str, Callable[[Axes, pd.DataFrame], None]] = {
    "measurements": _measurements,
    "batch_size_speedup": _batch_size_speedup,
    "model_size_speedup": _model_size_speedup,
    "thread_speedup": _thread_speedup,
}


def _groups(frame: pd.DataFrame, *by: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    yield from frame.groupby(list(by), sort=False)


def _rows(frame: pd.DataFrame) -> Iterator[Any]:
    yield from frame.itertuples(index=False)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _published(axes: Axes, places: pd.Series, rows: pd.DataFrame, label: str) -> None:
    known = rows["published"].notna()
    if known.any():
        axes.scatter(
            places[known], rows["published"][known], marker="X", color="black", s=70, zorder=4,
            edgecolors="white", label=label,
        )  # fmt: skip


def _line(axes: Axes, index: int, places: pd.Series, rows: pd.DataFrame, label: str) -> None:
    color = _COLORS[index % len(_COLORS)]
    axes.plot(
        places,
        rows["speedup"],
        color=color,
        marker=_MARKERS[index % len(_MARKERS)],
        linestyle=_LINES[index % len(_LINES)],
        label=label,
    )
    _interval_bars(axes, places, rows, color)


def _interval_bars(axes: Axes, places: Any, rows: pd.DataFrame, color: str) -> None:
    low = (rows["speedup"] - rows["low"]).fillna(0).astype(float)
    high = (rows["high"] - rows["speedup"]).fillna(0).astype(float)
    axes.errorbar(
        places, rows["speedup"], yerr=[low, high], fmt="none", color=color, capsize=4, zorder=3
    )


def _speedup_axis(axes: Axes) -> None:
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("speedup per sample, with 95 % interval")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}×")
