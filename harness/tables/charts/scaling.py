"""What several devices bring: efficiency, beside the share of communication."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.tables.charts import parts


def scaling(frame: pd.DataFrame, caption: str) -> Figure:
    """A bar a comparison on the left, what its all-reduce takes of a step on the right."""
    rows = frame.reset_index(drop=True)
    height = 1.7 + 0.55 * max(3, len(rows))
    figure, ((left, right),) = parts.grid(caption, 1, 2, (7.2, height))
    check = ": a functional check" if rows["functional"].all() else ""
    figure.suptitle(f"Several devices{check}", x=0.01, ha="left", weight="bold", fontsize=11)
    looks = {"strong": ("#56B4E9", ""), "weak": ("#E69F00", "//")}
    for kind, (color, hatch) in looks.items():
        its = rows[rows["kind"] == kind]
        if len(its):
            left.barh(
                its.index, its["efficiency"], 0.6, color=color, hatch=hatch, edgecolor="black",
                linewidth=0.6, label=f"{kind} scaling",
            )  # fmt: skip
            right.barh(
                its.index, its["communication_share"].astype(float), 0.6, color=color, hatch=hatch,
                edgecolor="black", linewidth=0.6,
            )  # fmt: skip
    for place, row in enumerate(parts.rows(rows)):
        if not pd.isna(row.efficiency_low):
            bar = parts.ends(row.efficiency, row.efficiency_low, row.efficiency_high)
            left.errorbar(row.efficiency, place, xerr=bar, fmt="none", color="black", capsize=3)
        end = row.efficiency if pd.isna(row.efficiency_high) else row.efficiency_high
        parts.beside(left, f"{100 * row.efficiency:.0f} %", end, place)
        if not pd.isna(row.communication_share):
            share = f"{100 * row.communication_share:.1f} %"
            parts.beside(right, share, row.communication_share, place)
    labels = [
        f"{r.variant}, {r.backend}\n{r.replicas} {r.device.upper()} devices, batch {r.batch_size}"
        for r in parts.rows(rows)
    ]
    left.set_yticks(rows.index, labels, fontsize=8)
    right.set_yticks(rows.index, [""] * len(rows))
    left.axvline(1.0, color="black", linewidth=0.8)
    left.set_xlabel("efficiency, with 95 % interval")
    right.set_xlabel("communication: all-reduce over step")
    for axes in (left, right):
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.margins(x=0.25)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    parts.legend_below(left, -0.8 / height)
    return figure


def outlook(axes: Axes, frame: pd.DataFrame) -> None:
    """A line a comparison: the efficiency at more devices by the model."""
    axes.set_title("Efficiency of many devices, by a model of few", loc="left", weight="bold")
    lines = parts.lines(frame, ("variant", "kind"), ("backend", "device", "measured_replicas"))
    for index, (label, rows) in enumerate(lines):
        axes.plot(
            rows["replicas"], rows["efficiency"], label=f"{label} scaling",
            color=parts.COLORS[index % len(parts.COLORS)],
            marker=parts.MARKERS[index % len(parts.MARKERS)],
            linestyle=parts.LINES[index % len(parts.LINES)],
        )  # fmt: skip
    counts = sorted(set(frame["replicas"]))
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_xlabel("devices; the fewest were measured")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("efficiency")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.legend(frameon=False)
