"""Intervals beside the truth that they should hold."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.records import Estimate
from harness.tables.charts import parts

Known = tuple[Estimate, float]  # an estimate and its truth


def intervals(title: str, ways: Mapping[str, Sequence[Known]], caption: str) -> Figure:
    """Draw every interval in its order, a panel a way of judging, with those that miss marked.

    Args:
        title: Above it.
        ways: Estimates and their truths by the name of the way.
        caption: Below it.
    """
    figure, rows = parts.grid(caption, 1, len(ways), (2.6 + 2.6 * len(ways), 4.4))
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    ends = [end for known in ways.values() for e, _ in known for end in (e.low, e.high) if end]
    for axes, (way, known) in zip(rows[0], ways.items(), strict=True):
        _panel(axes, way, known)
        if ends:
            axes.set_ylim(min(ends) * 0.995, max(ends) * 1.005)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2f}×")
        axes.set_xticks([])
    rows[0][0].set_ylabel("speedup, with 95 % interval")
    return figure


def _panel(axes: Axes, way: str, known: Sequence[Known]) -> None:
    ordered = sorted(known, key=lambda one: (one[1], one[0].value))
    missed = 0
    for place, (estimate, truth) in enumerate(ordered):
        if estimate.low is None or estimate.high is None:
            continue
        holds = estimate.low <= truth <= estimate.high
        missed += not holds
        axes.errorbar(
            place, estimate.value, yerr=parts.ends(estimate.value, estimate.low, estimate.high),
            color=parts.COLORS[0] if holds else parts.COLORS[1], fmt="o" if holds else "x",
            markersize=2 if holds else 5, linewidth=1.0 if holds else 1.6,
        )  # fmt: skip
    truths = [truth for _, truth in ordered]
    axes.step(range(len(truths)), truths, color="black", linewidth=0.8, where="mid")
    count = len(known)
    share = f"{100 * missed / count:.0f} %" if count else "–"
    axes.set_title(f"{way}\n{missed} of {count} miss the truth ({share})", fontsize=8.5, loc="left")
    if not any(math.isfinite(truth) for truth in truths):
        axes.text(0.5, 0.5, "nothing was measured", ha="center", transform=axes.transAxes)
