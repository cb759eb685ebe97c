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
_RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_HATCHES = ("", "//", "..", "xx", "--", "++")


def draw(name: str, frame: pd.DataFrame, caption: str) -> Figure:
    """Draw the chart of that name from its summary."""
    if "published" in frame and frame["published"].notna().any():
        caption += "; published: another machine"
    figure, (axes,) = _figure(caption)
    _CHARTS[name](axes, frame)
    return figure


def timeline(case: str, frame: pd.DataFrame, caption: str) -> Figure:
    """Draw the readings of a GPU while the rounds of a case ran, a line a worker.

    Args:
        case: Its id, for the title.
        frame: From `summary.gpu_timelines`.
        caption: What a number needs beside it.
    """
    known = [(c, label) for c, label in _READINGS if frame[c].notna().any()]
    figure, panels = _figure(caption, rows=max(1, len(known)))
    panels[0].set_title(f"GPU while {case} trained", loc="left", weight="bold")
    for axes, (column, label) in zip(panels, known, strict=False):
        for index, (worker, rows) in enumerate(_groups(frame, "worker")):
            axes.plot(
                rows["seconds"], rows[column].astype(float), color=_COLORS[index % len(_COLORS)],
                linestyle=_LINES[index % len(_LINES)], linewidth=1,
                label=f"worker {worker[0]}",
            )  # fmt: skip
        axes.set_ylabel(label, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.margins(y=0.15)
    panels[-1].set_xlabel("seconds since the rounds of a worker began")
    if known:
        figure.legend(
            *panels[0].get_legend_handles_labels(), frameon=False, fontsize=7, ncols=1,
            loc="outside right upper",
        )  # fmt: skip
    return figure


_READINGS = (
    ("utilization_percent", "GPU %"),
    ("power_watts", "power W"),
    ("sm_clock_mhz", "SM clock MHz"),
    ("memory_mib", "memory MiB"),
    ("temperature_celsius", "°C"),
)


def _figure(caption: str, rows: int = 1) -> tuple[Figure, list[Axes]]:
    mpl.rcParams.update({"font.size": 10, "svg.fonttype": "none"})
    size = (7.2, 4.6 if rows == 1 else 1.0 + 1.3 * rows)
    figure = Figure(figsize=size, dpi=140, layout="constrained")
    panels = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.text(0.01, -0.01, textwrap.fill(caption, 120), fontsize=7.5, color="#444444", va="top")
    return figure, panels


def _batch_size_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    references = ", ".join(sorted(set(frame["reference"])))
    axes.set_title(f"Speedup by batch size, against {references}", loc="left", weight="bold")
    for index, (key, rows) in enumerate(_groups(frame, "variant", "device")):
        places = rows["batch_size"] * 1.03**index  # so that intervals do not cover each other
        _line(axes, index, places, rows, f"{key[0]}, {key[1].upper()}")
        _published(axes, places, rows, f"{key[0]}, published")
    _batch_axis(axes, frame)
    _speedup_axis(axes)
    axes.legend(frameon=False)


def _device_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    rows = frame[frame["device"] != frame["reference"]]
    names = ", ".join(dict.fromkeys(rows["device_name"]))
    axes.set_title(f"Speedup of the GPU over the CPU\n{names}", loc="left", weight="bold")
    for index, (variant, group) in enumerate(_groups(rows, "variant")):
        places = group["batch_size"] * 1.03**index
        _line(axes, index, places, group, str(variant[0]))
        _published(axes, places, group, f"{variant[0]}, published epoch")
    _batch_axis(axes, rows)
    axes.set_yscale("log")
    values = rows[["speedup", "low", "high", "published"]].astype(float)
    bottom, top = 0.7 * min(1.0, values.min().min()), 1.6 * max(1.0, values.max().max())
    axes.set_yticks(_RATIOS, [f"{tick:g}×" for tick in _RATIOS])
    axes.set_ylim(bottom, top)
    axes.minorticks_off()
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("speedup per sample, with 95 % interval (log scale)")
    axes.legend(frameon=False)


def _device_crossover(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_title("Batch size from which the GPU is as fast as the CPU", loc="left", weight="bold")
    sizes = sorted({int(size) for row in _rows(frame) for size in row.sizes.split(",")})
    axes.axvspan(sizes[0], sizes[-1], color="#eeeeee", label="sizes measured", zorder=0)
    _spans(axes, frame, "batch_size", [str(row.variant) for row in _rows(frame)], units.count)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
    axes.set_xlabel("batch size (samples a step), with 95 % interval")
    axes.legend(frameon=False, loc="lower right")


def _device_break_even(axes: Axes, frame: pd.DataFrame) -> None:
    axes.set_title("Steps after which the GPU has made up for its start", loc="left", weight="bold")
    labels = [f"{row.variant}\nbatch {row.batch_size}" for row in _rows(frame)]
    _spans(axes, frame, "pays_after_steps", labels, units.count)
    axes.set_xscale("symlog", linthresh=1)
    known = frame[["pays_after_steps", "high"]].astype(float).max().max()
    axes.set_xlim(0, 10 if math.isnan(known) else max(10.0, 6 * known))
    axes.set_xlabel("training steps, with 95 % interval (log scale)")


def _spans(
    axes: Axes,
    frame: pd.DataFrame,
    column: str,
    labels: list[str],
    write: Callable[[float | None], str],
) -> None:
    """Draw a value with its interval a row, and the reason where there is none."""
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    for place, row in enumerate(_rows(frame)):
        value = getattr(row, column)
        known = pd.notna(value)
        text = write(value) if known else ""
        if known:
            ends = [value if pd.isna(end) else end for end in (row.low, row.high)]
            axes.plot(ends, [place, place], color=_COLORS[0], linewidth=3, solid_capstyle="butt")
            axes.plot([value], [place], "o", color="black", zorder=4)
        note = "  ".join(filter(None, (text, row.reason)))
        axes.annotate(
            note, (value if known else 0.5, place), (0, 9 if known else -3),
            xycoords="data" if known else ("axes fraction", "data"),
            textcoords="offset points", fontsize=8, ha="center",
        )  # fmt: skip
    axes.set_yticks(range(len(labels)), labels, fontsize=8 if len(labels) > 6 else None)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def _backend_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    reference = ", ".join(dict.fromkeys(frame["reference"]))
    axes.set_title(f"Speedup by Keras backend, against {reference}", loc="left", weight="bold")
    backends = list(dict.fromkeys(frame["backend"]))
    groups = list(_groups(frame, "variant", "device", "batch_size"))
    width = 0.8 / len(groups)
    for index, ((variant, device, size), rows) in enumerate(groups):
        places = [
            backends.index(b) + (index - (len(groups) - 1) / 2) * width for b in rows["backend"]
        ]
        axes.bar(
            places, rows["speedup"], width * 0.9, color=_COLORS[index % len(_COLORS)],
            hatch=_HATCHES[index % len(_HATCHES)], edgecolor="black", linewidth=0.6,
            label=f"{variant}, batch {size}, {device.upper()}",
        )  # fmt: skip
        _interval_bars(axes, places, rows, "black")
        for place, row in zip(places, _rows(rows), strict=True):
            top = row.speedup if pd.isna(row.high) else row.high
            axes.annotate(
                units.ratio(row.speedup), (place, top), (0, 4), textcoords="offset points",
                ha="center", fontsize=8,
            )  # fmt: skip
    labels = [
        f"{b}\n{'compiled' if rows['jit'].any() else 'not compiled'}"
        for b, rows in ((b, frame[frame["backend"] == b]) for b in backends)
    ]
    axes.set_xticks(range(len(backends)), labels)
    axes.margins(y=0.12)
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
    axes.set_yticks(_RATIOS, [f"{tick:g}×" for tick in _RATIOS])
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
    "device_speedup": _device_speedup,
    "device_crossover": _device_crossover,
    "device_break_even": _device_break_even,
    "backend_speedup": _backend_speedup,
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


def _batch_axis(axes: Axes, frame: pd.DataFrame) -> None:
    sizes = sorted(set(frame["batch_size"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("batch size (samples a step)")


def _speedup_axis(axes: Axes) -> None:
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("speedup per sample, with 95 % interval")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}×")
