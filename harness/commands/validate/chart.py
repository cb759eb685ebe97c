"""The chart of intervals beside the truth that they should hold."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.records import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Known = tuple[Estimate, float]  # an estimate and its truth


def intervals(title: str, ways: Mapping[str, Sequence[Known]], caption: str) -> "Figure":
    """Draw every interval, a panel per way of judging, and mark those that miss the truth.

    Args:
        title: Above the panels.
        ways: Estimates and their truths by the name of the way.
        caption: Below the panels.
    """
    from harness.tables import drawing

    size = (2.6 + 2.6 * len(ways), 4.4)
    figure, (panels,) = drawing.grid(title, caption, columns=len(ways), size=size)
    ends = [end for known in ways.values() for e, _ in known for end in (e.low, e.high) if end]
    for axes, (way, known) in zip(panels, ways.items(), strict=True):
        _panel(axes, way, known)
        if ends:
            axes.set_ylim(min(ends) * 0.995, max(ends) * 1.005)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}×")
        axes.set_xticks([])
    panels[0].set_ylabel("speedup, with 95 % interval")
    return figure


def _panel(axes: "Axes", way: str, known: Sequence[Known]) -> None:
    from harness.tables import drawing

    ordered = sorted(known, key=lambda one: (one[1], one[0].value))
    missed = 0
    for place, (estimate, truth) in enumerate(ordered):
        if estimate.low is None or estimate.high is None:
            continue
        holds = estimate.low <= truth <= estimate.high
        missed += not holds
        color, marker = (drawing.COLORS[0], "o") if holds else (drawing.COLORS[1], "x")
        bar, size = drawing.arms([estimate]), 2 if holds else 5
        width = 1.0 if holds else 1.6
        axes.errorbar(
            place, estimate.value, bar, fmt=marker, color=color, markersize=size, linewidth=width
        )
    truths = [truth for _, truth in ordered]
    axes.step(range(len(truths)), truths, color="black", linewidth=0.8, where="mid")
    count = len(known)
    share = f"{100 * missed / count:.0f} %" if count else "–"
    axes.set_title(f"{way}\n{missed} of {count} miss the truth ({share})", fontsize=8.5, loc="left")
    if not any(math.isfinite(truth) for truth in truths):
        axes.text(0.5, 0.5, "nothing was measured", ha="center", transform=axes.transAxes)
