"""A GPU against a CPU, when it pays, and its readings over time."""

import math
from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units
from harness.tables.charts import parts

_READINGS = (
    ("utilization_percent", "GPU %"),
    ("power_watts", "power W"),
    ("sm_clock_mhz", "SM clock MHz"),
    ("memory_mib", "memory MiB"),
    ("temperature_celsius", "°C"),
)


def device_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    """A line a variant over the batch sizes."""
    names = ", ".join(dict.fromkeys(frame["device_name"]))
    axes.set_title(f"Speedup of the GPU over the CPU\n{names}", loc="left", weight="bold")
    for index, (label, group) in enumerate(parts.lines(frame, ("variant",), ("backend",))):
        places = group["batch_size"] * 1.03**index
        parts.line(axes, index, places, group, label)
        parts.published(axes, places, group, f"{label}, published epoch")
    parts.batch_axis(axes, frame)
    axes.set_yscale("log")
    values = frame[["speedup", "low", "high", "published"]].astype(float)
    bottom, top = 0.7 * min(1.0, values.min().min()), 1.6 * max(1.0, values.max().max())
    axes.set_yticks(parts.RATIOS, [f"{tick:g}×" for tick in parts.RATIOS])
    axes.set_ylim(bottom, top)
    axes.minorticks_off()
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("speedup per sample, with 95 % interval (log scale)")
    axes.legend(frameon=False)


def device_crossover(axes: Axes, frame: pd.DataFrame) -> None:
    """Where each variant's speedup crosses 1, within the sizes measured."""
    axes.set_title("Batch size from which the GPU is as fast as the CPU", loc="left", weight="bold")
    sizes = sorted({int(size) for row in parts.rows(frame) for size in row.sizes.split(",")})
    axes.axvspan(sizes[0], sizes[-1], color="#eeeeee", label="sizes measured", zorder=0)
    labels = [row.variant + parts.also(frame, row, ("backend",)) for row in parts.rows(frame)]
    _spans(axes, frame, "batch_size", labels, units.count)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
    axes.set_xlabel("batch size (samples a step), with 95 % interval")
    axes.legend(frameon=False, loc="lower right")


def device_break_even(axes: Axes, frame: pd.DataFrame) -> None:
    """Steps until the GPU has paid, a row a variant and batch size."""
    axes.set_title("Steps after which the GPU has made up for its start", loc="left", weight="bold")
    labels = [
        f"{row.variant}\nbatch {row.batch_size}" + parts.also(frame, row, ("backend",))
        for row in parts.rows(frame)
    ]
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
    for place, row in enumerate(parts.rows(frame)):
        value = getattr(row, column)
        known = pd.notna(value)
        text = write(value) if known else ""
        if known:
            ends = [value if pd.isna(end) else end for end in (row.low, row.high)]
            axes.plot(
                ends, [place, place], color=parts.COLORS[0], linewidth=3, solid_capstyle="butt"
            )
            axes.plot([value], [place], "o", color="black", zorder=4)
        note = "  ".join(filter(None, (text, row.reason)))
        axes.annotate(
            note, (value if known else 0.5, place), (0, 9 if known else -3),
            xycoords="data" if known else ("axes fraction", "data"),
            textcoords="offset points", fontsize=8, ha="center",
        )  # fmt: skip
    axes.set_yticks(range(len(labels)), labels, fontsize=8 if len(labels) > 6 else None)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def timeline(case: str, frame: pd.DataFrame, caption: str) -> Figure:
    """Draw the readings of a GPU while the rounds of a case ran, a line a worker.

    Args:
        case: Its id, for the title.
        frame: From `devices.timelines`.
        caption: What a number needs beside it.
    """
    known = [(c, label) for c, label in _READINGS if frame[c].notna().any()]
    figure, panels = parts.figure(caption, rows=max(1, len(known)))
    panels[0].set_title(f"GPU while {case} trained", loc="left", weight="bold")
    for axes, (column, label) in zip(panels, known, strict=False):
        for index, (worker, rows) in enumerate(parts.groups(frame, "worker")):
            axes.plot(
                rows["seconds"],
                rows[column].astype(float),
                color=parts.COLORS[index % len(parts.COLORS)],
                linestyle=parts.LINES[index % len(parts.LINES)],
                linewidth=1,
                label=f"worker {worker[0]}",
            )
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
