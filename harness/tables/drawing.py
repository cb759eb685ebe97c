"""What charts share: looks, titles, axes, bars and lines of speedups.

Readable in grayscale: markers, line styles and hatches differ, not colors alone. Matplotlib is
imported only when something is drawn, since it takes long to load.
"""

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from harness import units
from harness.analyze.verdicts import Verdict
from harness.records import Estimate

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

Axes: TypeAlias = "matplotlib.axes.Axes"
Figure: TypeAlias = "matplotlib.figure.Figure"
# Okabe and Ito's colors: the color-blind can tell them apart, and they are dark enough on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":")
EDGE: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.6}
BEST = "#009E73"  # what is recommended or kept
GRAY = "#bbbbbb"
CAPTION = "caption"  # the id of that part of a figure
WIDTH = 7.2  # inches
_TITLE_WIDTH, _CAPTION_WIDTH = 84, 120  # characters
_MOST_TICKS = 9
_NEAR = 0.085  # of the width: no room for a value between


def grid(
    title: str,
    caption: str,
    *,
    rows: int = 1,
    columns: int = 1,
    size: tuple[float, float] = (WIDTH, 4.6),
    share: Literal["none", "col", "row"] = "none",
) -> tuple[Figure, list[list[Axes]]]:
    """Make a figure with panels in rows and columns.

    Args:
        title: The finding.
        caption: Below the panels.
        rows: How many panels are below each other.
        columns: How many are side by side.
        size: Width and height in inches.
        share: Whether the panels of a column share the horizontal axis, or those of a row the
            vertical one.
    """
    import matplotlib.figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    matplotlib.rcParams.update(
        {
            "font.size": 10,
            "axes.labelsize": 9,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "svg.fonttype": "none",
            "svg.hashsalt": "chart",
            "text.hinting": "none",  # sharp enough at this resolution, and sooner drawn
        }
    )
    figure = matplotlib.figure.Figure(figsize=size, dpi=140, layout="constrained")
    FigureCanvasAgg(figure)  # one renderer for layout and edges: it remembers the size of texts
    shared: Any = {"col": {"sharex": "col"}, "row": {"sharey": "row"}}.get(share, {})
    panels = figure.subplots(rows, columns, squeeze=False, **shared)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    title = textwrap.fill(title, _TITLE_WIDTH)
    figure.suptitle(title, x=0.01, ha="left", weight="bold", fontsize=10.5)
    looks: Any = {"fontsize": 7.5, "color": "#444444", "va": "top", "gid": CAPTION}
    figure.text(0.01, -0.01, textwrap.fill(caption, _CAPTION_WIDTH), **looks)
    figure.set_label(caption)  # whole, for those who show it beside the figure
    return figure, [list(row) for row in panels]


def single(title: str, subtitle: str, caption: str, height: float = 4.6) -> tuple[Figure, Axes]:
    """Make a figure of one panel, see `grid`; the subtitle says what is shown."""
    figure, ((axes,),) = grid(title, caption, size=(WIDTH, height))
    subtitled(axes, subtitle)
    return figure, axes


def subtitled(axes: Axes, text: str) -> None:
    """Write what a panel shows above it."""
    axes.set_title(textwrap.fill(text, 105), loc="left", fontsize=8.5, color="#444444")


def title(figure: Figure) -> str:
    """Return what stands above a figure, in one line."""
    return (figure.get_suptitle() or figure.axes[0].get_title(loc="left")).replace("\n", " ")


def caption(figure: Figure) -> str:
    """Return what stands below a figure, in one line."""
    return str(figure.get_label())


def legend_below(figure: Figure, handles: Sequence[Any] = (), columns: int = 2) -> None:
    """Put the legend between the chart and its caption, where it hides nothing.

    Matplotlib's own places outside of axes move when a file is cut to what is drawn.

    Args:
        figure: The chart.
        handles: What to explain; empty for all that has a label.
        columns: Side by side.
    """
    labeled = (axes.get_legend_handles_labels()[0] for axes in figure.axes)
    found = list(handles) or list(itertools.chain(*labeled))
    longest = max(len(handle.get_label()) for handle in found)
    columns = max(1, min(columns, _CAPTION_WIDTH // (longest + 6)))
    room = (0.08 + 0.17 * -(-len(found) // columns)) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, room, 1, 1 - room))
    figure.legend(
        handles=found,
        loc="lower left",
        bbox_to_anchor=(0, 0),
        bbox_transform=figure.transFigure,
        ncols=columns,
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
    )


def patches(looks: Iterable[tuple[str, str, str]]) -> list[Any]:
    """Return the legend of bars by color, hatch and name."""
    from matplotlib.patches import Patch

    return [Patch(facecolor=color, hatch=hatch, label=name, **EDGE) for color, hatch, name in looks]


def horizontal(axes: Axes, labels: Sequence[str]) -> None:
    """Let the vertical axis be labels, the first one on top; long ones make the figure wider."""
    longest = max(len(line) for label in labels for line in label.split("\n"))
    figure: Any = axes.figure
    figure.set_figwidth(WIDTH + 0.06 * max(0, longest - 36))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.grid(axis="y", visible=False)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylim(max(2, len(labels)) - 0.4, -0.6)


def log_ticks(low: float, high: float) -> list[float]:
    """Return the ticks of a logarithmic axis, as many as can be read."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if high / low < 4:
        parts = (10.0 ** (last - 1) * part for part in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5))
        ways = [[part * n for n in range(int(low / part), int(high / part) + 1)] for part in parts]
    else:
        steps = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
        powers = range(first, last + 1)
        ways = [[step * 10.0**power for power in powers for step in way] for way in steps]
    found = [[float(f"{tick:.4g}") for tick in way if low <= tick <= high] for way in ways]
    return next((ticks for ticks in found if len(ticks) <= _MOST_TICKS), found[-1])


def log_scale(
    axes: Axes, which: Literal["x", "y"], low: float, high: float, unit: str = ""
) -> None:
    """Let an axis be logarithmic, with as many ticks as can be read."""
    ticks = log_ticks(low, high)
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    _ticks(axes.xaxis if which == "x" else axes.yaxis, ticks, "{:g}" + unit)


def _ticks(axis: Any, ticks: Sequence[float], label: str) -> None:
    axis.set_ticks(ticks, [label.format(tick) for tick in ticks])
    axis.set_ticks([], minor=True)


def ratio_scale(axes: Axes, which: Literal["x", "y"], low: float, high: float) -> None:
    """Let an axis be speedups on a logarithmic scale, with a line at 1."""
    log_scale(axes, which, low, high, "×")
    (axes.axvline if which == "x" else axes.axhline)(1.0, color="black", linewidth=0.8)


def second_scale(axes: Axes, rate: float) -> None:
    """Show the speedups of the vertical axis as samples per second on the right."""
    low, high = axes.get_ylim()
    ticks = log_ticks(rate * low, rate * high)
    right: Any = axes.twinx()
    right.set(yscale="log", ylim=(rate * low, rate * high), ylabel="samples/s")
    _ticks(right.yaxis, ticks, "{:g}")
    right.spines["top"].set_visible(False)


def batch_axis(axes: Axes, sizes: Iterable[int]) -> None:
    """Let the horizontal axis be batch sizes."""
    axes.set_xscale("log", base=2)
    _ticks(axes.xaxis, sorted(set(sizes)), "{}")
    axes.set_xlabel("batch size (samples per step)")


def beside(axes: Axes, text: str, x: float, y: float, *, left: bool = False) -> None:
    """Write beside a point."""
    side, offset = ("right", -6) if left else ("left", 6)
    axes.annotate(
        text, (x, y), (offset, 0), textcoords="offset points", fontsize=7.5, ha=side, va="center"
    )


def name_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write names beside points so that none covers another; for axes whose limits are final."""
    line, letter = 11.0, 4.4  # of a name, in typographic points
    scale = 72 / axes.figure.dpi
    places = [[scale * part for part in axes.transData.transform(point[1:])] for point in points]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in places]
    for (text, *point), (x, y) in zip(points, places, strict=True):
        for up, side in itertools.product((0, 1, -1, 2, -2, 3, -3), (1, -1)):
            left = x + 7 if side > 0 else x - 7 - letter * len(text)
            right, low, high = left + letter * len(text), y + line * up - 5, y + line * up + 5
            if not any(left < r and x_ < right and low < h and y_ < high for x_, y_, r, h in taken):
                break
        taken.append((left, low, right, high))
        axes.annotate(
            text,
            (point[0], point[1]),
            (7 * side, line * up),
            textcoords="offset points",
            fontsize=7.5,
            ha="left" if side > 0 else "right",
            va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5} if up else None,
        )


def arms(estimates: Iterable[Estimate]) -> list[list[float]]:
    """Return the lengths of error bars; 0 where there is no interval.

    Rounding may leave a length below 0, which counts as 0.
    """
    found = [
        (max(0.0, e.value - e.low), max(0.0, e.high - e.value))
        if e.low is not None and e.high is not None
        else (0.0, 0.0)
        for e in estimates
    ]
    return [[low for low, _ in found], [high for _, high in found]]


def interval(axes: Axes, estimate: Estimate, place: float, **looks: Any) -> None:
    """Draw the interval of a value along the horizontal axis; no mark at the value itself."""
    looks = {"fmt": "none", "color": "black", "capsize": 3, **looks}
    axes.errorbar(estimate.value, place, xerr=arms([estimate]), **looks)


def bar(
    axes: Axes, place: float, end: Estimate, start: float = 0.0, height: float = 0.6, **looks: Any
) -> None:
    """Draw a horizontal bar from a start to a value, with the interval where there is one."""
    axes.barh(place, end.value - start, height, left=start, **looks, **EDGE)
    if end.low is not None:
        interval(axes, end, place)


def percent_axis(axis: Any) -> None:
    """Write the shares along an axis in percent."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def reach(estimates: Iterable[Estimate]) -> tuple[float, float]:
    """Return the smallest and the largest value, ends of intervals included."""
    ends = [end for e in estimates for end in (e.value, e.low, e.high) if end is not None]
    return min(ends), max(ends)


def look(index: int) -> dict[str, Any]:
    """Return color, marker and line style by which a line is told from others."""
    return {
        "color": COLORS[index % len(COLORS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": LINES[index % len(LINES)],
    }


def line(
    axes: Axes, index: int, places: Sequence[float], estimates: Sequence[Estimate], label: str
) -> str:
    """Draw a line with intervals, told from others by its index; return its color."""
    values, looks = [estimate.value for estimate in estimates], look(index)
    axes.errorbar(places, values, yerr=arms(estimates), capsize=4, label=label, **looks)
    return str(looks["color"])


def times(name: str, speedup: float, other: str) -> str:
    """Say how fast one is beside another: `jax: 6.4 times slower than tensorflow`."""
    if speedup >= 1:
        return f"{name}: {speedup:.3g} times as fast as {other}"
    return f"{name}: {1 / speedup:.3g} times slower than {other}"


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """A speedup as a bar that begins at 1.

    Attributes:
        label: Beside the axis.
        verdict: Gives the color; None at quick effort.
        note: Behind the value.
        mark: What the speedup is compared with; a diamond.
        best: Whether this is what is recommended or kept.
    """

    label: str
    speedup: Estimate
    verdict: Verdict | None = None
    note: str = ""
    mark: float | None = None
    best: bool = False


_DIAMOND: dict[str, Any] = {"color": "white", "markeredgecolor": "black", "markersize": 5}
_LOOKS = {  # color, hatch, name
    "best": (BEST, "..", "kept"),
    "faster": ("#56B4E9", "", "faster"),
    "slower": ("#E69F00", "//", "slower"),
    "other": ("#dddddd", "", "same, small difference or undecided"),
    "quick": ("#ffffff", "", "no verdict at quick effort"),
}


def bar_look(verdict: Verdict | None, *, best: bool = False) -> tuple[str, str, str]:
    """Return color, hatch and name of a bar; a verdict of None is one of quick effort."""
    return _LOOKS.get("best" if best else verdict or "quick", _LOOKS["other"])


def speedup_bars(
    bars: Sequence[Bar],
    title: str,
    subtitle: str,
    caption: str,
    *,
    mark: str = "",
    what: str = "speedup per sample",
) -> Figure:
    """Draw a bar per speedup on a log scale, the first one on top; `mark` names the diamonds."""
    lines = sum(1 + bar.label.count("\n") for bar in bars)
    figure, axes = single(title, subtitle, caption, 1.5 + 0.2 * max(5, lines) + 0.08 * len(bars))
    span = _wide_enough(axes, bars)
    handles: dict[str, Any] = {}
    for place, its in enumerate(bars):
        color, hatch, name = its_look = bar_look(its.verdict, best=its.best)
        value, (low, high) = its.speedup.value, reach([its.speedup])
        bar(axes, place, its.speedup, 1.0, 0.7, facecolor=color, hatch=hatch)
        handles.setdefault(name, *patches([its_look]))
        ends = [min(1.0, low), max(1.0, high)]
        if its.mark is not None:
            (handles[mark],) = axes.plot(its.mark, place, "D", **_DIAMOND, label=mark)
            near = [end for end in ends if abs(math.log(its.mark / end)) < _NEAR * span]
            ends += [its.mark] if near else []  # else the value has room between bar and mark
        text, end = units.ratio(value) + its.note, min(ends) if value < 1 else max(ends)
        beside(axes, text, end, place, left=value < 1)
    horizontal(axes, [bar.label for bar in bars])
    axes.set_xlabel(f"{what} (log scale), with 95 % interval")
    if len(handles) > 1:
        legend_below(figure, list(handles.values()), columns=3)
    return figure


def _wide_enough(axes: Axes, bars: Sequence[Bar]) -> float:
    """Leave room for the values on both sides of the bars; return the logarithm of the span."""
    marks = [bar.mark for bar in bars if bar.mark is not None]
    low, high = reach(bar.speedup for bar in bars)
    low, high = min(1.0, low, *marks), max(1.0, high, *marks)
    span = max(math.log(high / low), 0.05)
    left, right = (
        max(
            (0.14 + 0.016 * len(b.note) for b in bars if (b.speedup.value < 1) == slower),
            default=0.03,
        )
        for slower in (True, False)
    )
    ratio_scale(axes, "x", low * math.exp(-left * span), high * math.exp(right * span))
    return span
