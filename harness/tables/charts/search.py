"""The batch sizes that a search tried: throughput, and memory beneath."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from harness import units
from harness.tables.charts import parts


def batch_size_search(frame: pd.DataFrame, caption: str) -> Figure:
    """Two panels over the batch size; a size that failed is a cross at how far it got."""
    figure, ((above,), (below,)) = parts.grid(caption, 2, 1, (7.2, 5.4), share="col")
    above.set_title("Batch sizes tried", loc="left", weight="bold")
    groups = parts.lines(frame, ("variant", "device"), ("backend",))
    for index, (label, rows) in enumerate(groups):
        style: dict[str, Any] = {
            "color": parts.COLORS[index % len(parts.COLORS)],
            "marker": parts.MARKERS[index % len(parts.MARKERS)],
            "linestyle": parts.LINES[index % len(parts.LINES)],
        }
        above.plot(rows["batch_size"], rows["samples_per_s"].astype(float), label=label, **style)
        fits = rows[rows["status"] == "fits"]
        below.plot(fits["batch_size"], fits["peak_mib"].astype(float) / 1024, **style)
        failed = rows[(rows["status"] != "fits") & rows["peak_mib"].notna()]
        below.scatter(
            failed["batch_size"], failed["peak_mib"].astype(float) / 1024, marker="x", s=70,
            color=style["color"], zorder=4,
        )  # fmt: skip
        for row in parts.rows(failed):
            parts.beside(below, str(row.status), row.batch_size, row.peak_mib / 1024, left=True)
    memory = frame["memory_mib"].dropna().unique()
    for mib in memory:
        below.axhline(mib / 1024, color="black", linewidth=0.8, linestyle=":")
        below.annotate(
            f"memory: {units.mebibytes(mib * 2**20)}", (0, mib / 1024), (4, 3),
            xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8,
        )  # fmt: skip
    above.set_ylim(bottom=0)
    above.set_ylabel("samples/s, about")
    below.set_yscale("log")
    below.set_ylabel("peak GiB")
    ticks = parts.nice_ticks(*below.get_ylim())
    below.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    below.yaxis.set_minor_locator(parts.no_ticks())
    parts.batch_axis(below, frame)
    above.legend(frameon=False, fontsize=8)
    return figure
