"""What the figures share: looks, groups of rows, lines with intervals, axes."""

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

# Okabe and Ito's colors, told apart by the color-blind; dark enough on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":")
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
HATCHES = ("", "//", "..", "xx", "--", "++")
CAPTION = "caption"  # the id of that part of a figure

_WORDS: dict[str, Callable[[Any], str]] = {
    "batch_size": "batch {}".format,
    "epochs": "{} epochs".format,
    "device": str.upper,
}


def figure(caption: str, rows: int = 1, height: float = 1.3) -> tuple[Figure, list[Axes]]:
    """Make a figure with its caption and one panel a row, of that height in inches."""
    size = (7.2, 4.6 if rows == 1 else 1.0 + height * rows)
    figure, panels = grid(caption, rows, 1, size, share="col")
    return figure, [row[0] for row in panels]


def grid(
    caption: str,
    rows: int,
    columns: int,
    size: tuple[float, float] = (7.2, 5.4),
    share: Literal["none", "col"] = "none",
) -> tuple[Figure, list[list[Axes]]]:
    """Make a figure with its caption and panels in rows and columns.

    Args:
        caption: Below it.
        rows: Of panels.
        columns: Of panels.
        size: Width and height in inches.
        share: Which panels have one horizontal axis.
    """
    mpl.rcParams.update(
        {
            "font.size": 10,
            "svg.fonttype": "none",
            "svg.hashsalt": "chart",
            "text.hinting": "none",  # sharp enough at this resolution, and sooner drawn
        }
    )
    figure = Figure(figsize=size, dpi=140, layout="constrained")
    FigureCanvasAgg(figure)  # one renderer for layout and edges: it remembers the size of texts
    panels = figure.subplots(rows, columns, sharex=share, squeeze=False)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.text(
        0.01, -0.01, textwrap.fill(caption, 120), fontsize=7.5, color="#444444", va="top",
        gid=CAPTION,
    )  # fmt: skip
    figure.set_label(caption)  # whole, for those who show it beside the figure
    return figure, [list(row) for row in panels]


def title(figure: Figure) -> str:
    """What stands above a figure, in one line."""
    return (figure.get_suptitle() or figure.axes[0].get_title(loc="left")).replace("\n", ": ")


def caption(figure: Figure) -> str:
    """What stands below a figure, in one line."""
    return str(figure.get_label())


def legend_below(axes: Axes, place: float = -0.13) -> None:
    """Put the legend between the chart and its caption, where it hides nothing.

    Args:
        axes: The chart.
        place: How far below it, as a share of its height.
    """
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, place), ncols=2, frameon=False, fontsize=8,
        borderaxespad=0,
    )  # fmt: skip


def nice_ticks(low: float, high: float) -> list[float]:
    """Ticks 1, 2, 5, 10 and so on of a logarithmic axis that reaches from low to high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    return [tick for tick in ticks if 0.8 * low <= tick <= 1.25 * high]


def no_ticks() -> NullLocator:
    """For minor ticks, which would crowd a logarithmic axis."""
    return NullLocator()


def beside(axes: Axes, text: str, x: float, y: float, *, left: bool = False) -> None:
    """Write a point's name beside it."""
    side, offset = ("right", -6) if left else ("left", 6)
    axes.annotate(
        text, (x, y), (offset, 0), textcoords="offset points", fontsize=7.5, ha=side, va="center"
    )


def groups(frame: pd.DataFrame, *by: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield the rows that agree in these columns, with what they agree in."""
    yield from frame.groupby(list(by), sort=False)


def lines(
    frame: pd.DataFrame, always: tuple[str, ...], sometimes: tuple[str, ...] = ()
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each line of a chart with its label.

    Args:
        frame: All rows.
        always: Columns that tell lines apart and stand in every label.
        sometimes: Columns that do so where they differ at all.
    """
    by = [*always, *(column for column in sometimes if frame[column].nunique() > 1)]
    for key, chosen in groups(frame, *by):
        words = [_WORDS.get(column, str)(value) for column, value in zip(by, key, strict=True)]
        yield ", ".join(words), chosen


def also(frame: pd.DataFrame, row: Any, columns: tuple[str, ...]) -> str:
    """What a label must say beyond its usual words: the columns that differ among the rows."""
    return "".join(f", {getattr(row, c)}" for c in columns if frame[c].nunique() > 1)


def threads(count: int) -> str:
    """Write how many threads."""
    return "1 thread" if count == 1 else f"{count} threads"


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield each row as a named tuple."""
    yield from frame.itertuples(index=False)


def published(axes: Axes, places: pd.Series, rows: pd.DataFrame, label: str) -> None:
    """Mark the published values."""
    known = rows["published"].notna()
    if known.any():
        axes.scatter(
            places[known], rows["published"][known], marker="X", color="black", s=70, zorder=4,
            edgecolors="white", label=label,
        )  # fmt: skip


def line(axes: Axes, index: int, places: pd.Series, rows: pd.DataFrame, label: str) -> None:
    """Draw a line of speedups with their intervals, told apart by its index."""
    color = COLORS[index % len(COLORS)]
    axes.plot(
        places,
        rows["speedup"],
        color=color,
        marker=MARKERS[index % len(MARKERS)],
        linestyle=LINES[index % len(LINES)],
        label=label,
    )
    interval_bars(axes, places, rows, color)


def interval_bars(axes: Axes, places: Any, rows: pd.DataFrame, color: str) -> None:
    """Draw the interval of each speedup; none where there is none."""
    low = (rows["speedup"] - rows["low"]).fillna(0).astype(float).clip(lower=0)
    high = (rows["high"] - rows["speedup"]).fillna(0).astype(float).clip(lower=0)
    axes.errorbar(
        places, rows["speedup"], yerr=[low, high], fmt="none", color=color, capsize=4, zorder=3
    )


def ends(value: float, low: float, high: float) -> list[list[float]]:
    """An interval as the lengths that a bar of error takes; rounding may leave one below 0."""
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def batch_axis(axes: Axes, frame: pd.DataFrame) -> None:
    """Let the horizontal axis be the batch sizes."""
    sizes = sorted(set(frame["batch_size"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xlabel("batch size (samples a step)")


def speedup_axis(axes: Axes) -> None:
    """Let the vertical axis be speedups, with a line at 1."""
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("speedup per sample, with 95 % interval")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}×")
