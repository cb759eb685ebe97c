"""Comparisons of batch sizes, models, backends and threads, and the measurements themselves."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import units
from harness.tables.charts import parts
from harness.tables.charts.why import law_curve


def batch_size_speedup(axes: Axes, frame: pd.DataFrame, law: pd.DataFrame | None) -> None:
    """A line a variant and device over the batch sizes, with the law of step time beside it."""
    references = ", ".join(sorted(set(frame["reference"])))
    axes.set_title(f"Speedup by batch size, against {references}", loc="left", weight="bold")
    lines = parts.lines(frame, ("variant", "device"), ("backend",))
    floors = 0
    ahead = [] if law is None else [rows for _, rows in parts.groups(law, *_LINE)]
    for index, (label, rows) in enumerate(lines):
        places = rows["batch_size"] * 1.03**index  # so that intervals do not cover each other
        parts.line(axes, index, places, rows, label)
        parts.published(axes, places, rows, f"{label}, published")
        floor = rows["noise_floor"].astype(bool)
        if floor.any():
            axes.plot(
                places[floor], rows["speedup"][floor], parts.MARKERS[index % len(parts.MARKERS)],
                color=parts.COLORS[index % len(parts.COLORS)], markerfacecolor="white", zorder=4,
                label="" if floors else "against itself: the noise floor",
            )  # fmt: skip
            floors += 1
        first = rows.iloc[0]
        for its in ahead:
            if all(its[column].iloc[0] == first[column] for column in _LINE):
                law_curve(axes, its, index, label)
    parts.batch_axis(axes, frame if law is None else law)
    parts.speedup_axis(axes)
    parts.legend_below(axes)


_LINE = ("variant", "device", "backend")
_LONGEST_QUOTIENT = 40  # characters


def model_size_speedup(frame: pd.DataFrame, caption: str) -> Figure:
    """Bars of the measured speedup beside the ratios of work and parameters."""
    figure, ((axes,),) = parts.grid(caption, 1, 1, (7.2, 2.0 + 0.62 * len(frame)))
    axes.set_title("Speedup by model, beside what shrank", loc="left", weight="bold")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    height = 0.27
    bars = (
        ("speedup", "measured speedup", -height, "#0072B2", ""),
        ("mac_ratio", "fewer multiply-accumulates", 0.0, "#bbbbbb", "//"),
        ("parameter_ratio", "fewer parameters", height, "#ffffff", ".."),
    )
    numbers = ["low", "high", "published", *(column for column, *_ in bars)]
    rows = frame.astype(dict.fromkeys(numbers, float)).reset_index(drop=True)
    for column, label, shift, color, hatch in bars:
        values = rows[column]  # a missing ratio has no bar
        axes.barh(
            rows.index + shift, values - 1, height, left=1.0, label=label, color=color,
            hatch=hatch, edgecolor="black", linewidth=0.6,
        )  # fmt: skip
        tops = rows["high"].fillna(values) if column == "speedup" else values
        for place, value, top in zip(rows.index + shift, values, tops, strict=True):
            if not math.isnan(value):
                parts.beside(axes, units.ratio(value), max(1.0, value, top), place)
    for place, row in zip(rows.index - height, parts.rows(rows), strict=True):
        if not math.isnan(row.low):
            bar = parts.ends(row.speedup, row.low, row.high)
            axes.errorbar(row.speedup, place, xerr=bar, fmt="none", color="black", capsize=3)
    known = rows["published"].notna()
    if known.any():
        axes.scatter(
            rows["published"][known], rows.index[known] - height, marker="X", color="black", s=50,
            zorder=4, edgecolors="white", label="published speedup",
        )  # fmt: skip
    ratios = rows[[column for column, *_ in bars]]
    low, high = 0.8 * min(1.0, ratios.min().min()), 1.6 * max(2.0, ratios.max().max())
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [tick for tick in parts.RATIOS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.minorticks_off()
    labels = [
        _over(r.variant, r.reference)
        + f"\nbatch {r.batch_size}"
        + parts.also(frame, r, ("device", "backend"))
        for r in parts.rows(rows)
    ]
    axes.set_yticks(rows.index, labels, fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("reference / case (log scale), speedup with 95 % interval")
    parts.legend_below(axes, -0.9 / (2.0 + 0.62 * len(frame)))
    return figure


def _over(name: str, other: str) -> str:
    """Name a quotient, on two lines where one would leave no room for the chart."""
    break_or_space = "\n" if len(name) + len(other) > _LONGEST_QUOTIENT else " "
    return f"{name} /{break_or_space}{other}"


def backend_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    """A bar a variant and batch size for each backend."""
    reference = ", ".join(dict.fromkeys(frame["reference"]))
    axes.set_title(f"Speedup by Keras backend, against {reference}", loc="left", weight="bold")
    backends = list(dict.fromkeys(frame["backend"]))
    groups = list(parts.groups(frame, "variant", "device", "batch_size"))
    width = 0.8 / len(groups)
    for index, ((variant, device, size), rows) in enumerate(groups):
        places = [
            backends.index(b) + (index - (len(groups) - 1) / 2) * width for b in rows["backend"]
        ]
        axes.bar(
            places, rows["speedup"], width * 0.9, color=parts.COLORS[index % len(parts.COLORS)],
            hatch=parts.HATCHES[index % len(parts.HATCHES)], edgecolor="black", linewidth=0.6,
            label=f"{variant}, batch {size}, {device.upper()}",
        )  # fmt: skip
        parts.interval_bars(axes, places, rows, "black")
        for place, row in zip(places, parts.rows(rows), strict=True):
            top = row.speedup if pd.isna(row.high) else row.high
            axes.annotate(
                units.ratio(row.speedup), (place, top), (0, 4), textcoords="offset points",
                ha="center", fontsize=8,
            )  # fmt: skip
    labels = [
        f"{b}\n{'jit' if rows['jit'].any() else 'no jit'}"
        for b, rows in ((b, frame[frame["backend"] == b]) for b in backends)
    ]
    axes.set_xticks(range(len(backends)), labels)
    axes.margins(y=0.25)
    parts.speedup_axis(axes)
    axes.legend(frameon=False)


def thread_speedup(axes: Axes, frame: pd.DataFrame) -> None:
    """A line a variant and batch size over the threads, beside the ideal."""
    axes.set_title("Speedup by CPU threads", loc="left", weight="bold")
    threads = sorted(set(frame["threads"]))
    axes.plot(threads, [t / threads[0] for t in threads], ":", color="#777777", label="ideal")
    for index, (label, rows) in enumerate(
        parts.lines(frame, ("variant", "batch_size"), ("backend",))
    ):
        parts.line(axes, index, rows["threads"], rows, label)
    axes.set_xticks(threads)
    axes.set_xlabel("CPU threads")
    parts.speedup_axis(axes)
    axes.legend(frameon=False)


def measurements(frame: pd.DataFrame, caption: str) -> Figure:
    """A bar of the sample time for each case."""
    figure, ((axes,),) = parts.grid(caption, 1, 1, (7.2, 1.3 + 0.36 * max(6, len(frame))))
    axes.set_title("Step time, per sample", loc="left", weight="bold")
    labels = [
        f"{r.variant}, batch {r.batch_size}\n{r.device.upper()}, {parts.threads(r.threads)}"
        + parts.also(frame, r, ("backend", "precision", "dataset"))
        for r in parts.rows(frame)
    ]
    places = range(len(frame))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    axes.barh(places, frame["sample_us"], color="#56B4E9", edgecolor="black", linewidth=0.6)
    axes.set_yticks(places, labels, fontsize=8)
    low = frame["sample_us"] - frame["step_us_low"] / frame["batch_size"]
    high = frame["step_us_high"] / frame["batch_size"] - frame["sample_us"]
    axes.errorbar(
        frame["sample_us"], places, xerr=[low.fillna(0), high.fillna(0)], fmt="none", color="black",
        capsize=3,
    )  # fmt: skip
    for place, end, row in zip(
        places, frame["sample_us"] + high.fillna(0), parts.rows(frame), strict=True
    ):
        axes.annotate(
            f"{units.digits(row.sample_us)} µs ({units.seconds(row.step_us / 1e6)}/step)",
            (end, place), (6, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.margins(x=0.28)
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.set_xlabel("µs per sample, with 95 % interval")
    return figure
