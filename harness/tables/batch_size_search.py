"""The table of a search for batch sizes: throughput and memory of each size that was tried."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB, quotient
from harness.records import Search, TriedSize
from harness.tables.declare import MOST_LINES, Chart, Column, Limit, Table, given, grouped, lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.1  # of the memory, left free by the largest size that fits with a margin
_FAR = 4.0  # times the largest peak: a memory beyond is named and not drawn


@dataclasses.dataclass(frozen=True, slots=True)
class TriedRow:
    """One batch size that was tried, whether it fits or not.

    Attributes:
        samples_per_s: About: of one warm-up.
        peak_mib: Of a size that failed how far it got.
        measured: Whether the size was measured afterwards.
    """

    variant: str
    dataset: str
    backend: str
    device: str
    batch_size: int
    status: str
    samples_per_s: float | None
    peak_mib: float | None
    memory_mib: float | None
    memory_share: float | None
    fits_with_margin: bool | None
    measured: bool
    ended: str
    reason: str | None


def _rows(analysis: Analysis) -> list[TriedRow]:
    return [_row(search, tried) for search in analysis.run.searches for tried in search.probes]


def _row(search: Search, tried: TriedSize) -> TriedRow:
    case, fits = search.case, tried.step_seconds is not None
    share = quotient(tried.peak_bytes, search.memory_bytes)
    return TriedRow(
        variant=case.variant,
        dataset=case.dataset,
        backend=case.backend,
        device=case.device,
        batch_size=tried.batch_size,
        status=tried.status,
        samples_per_s=quotient(tried.batch_size, tried.step_seconds),
        peak_mib=quotient(tried.peak_bytes, MIB),
        memory_mib=quotient(search.memory_bytes, MIB),
        memory_share=share,
        fits_with_margin=share <= 1 - MARGIN if fits and share is not None else None,
        measured=tried.batch_size in search.chosen,
        ended=search.ended,
        reason=tried.message or None,
    )


def _notes(rows: Sequence[TriedRow]) -> Iterator[str]:
    yield (
        "samples/s: of one warm-up each, so rough and never compared; sizes that are not measured "
        "afterwards are far slower"
    )
    for its in grouped(rows, lambda row: (row.variant, row.device)).values():
        name = f"{its[0].variant} on the {its[0].device.upper()}"
        yield f"{name}: the search ended because {its[0].ended}; {_largest(its)}"
    for row in rows:
        if row.reason:
            reached = "" if row.peak_mib is None else f", at {units.count(row.peak_mib)} MiB"
            yield f"batch {row.batch_size}: {row.status}{reached}: {row.reason}"


def _largest(rows: Sequence[TriedRow]) -> str:
    if all(row.fits_with_margin is None for row in rows):
        return "what fits into the memory is not known"
    fitting = [row.batch_size for row in rows if row.fits_with_margin]
    margin = f"with {100 * MARGIN:.0f} % of the memory left free"
    return f"the largest that fits {margin}: {max(fitting)}" if fitting else f"none fits {margin}"


def _draw(rows: list[TriedRow], caption: str) -> "Figure":
    """Throughput above, memory below; a size that failed is a cross at how far it got."""
    from harness.tables import drawing

    figure, ((above,), (below,)) = drawing.grid(
        _finding(rows), caption, rows=2, size=(drawing.WIDTH, 5.4), share="col"
    )
    drawing.subtitled(above, "One warm-up per size; filled: measured properly afterwards")
    for index, (label, its) in enumerate(lines_of(rows, ("variant", "device"), ("backend",))):
        style: dict[str, Any] = {
            "color": drawing.COLORS[index % len(drawing.COLORS)],
            "marker": drawing.MARKERS[index % len(drawing.MARKERS)],
        }
        line = drawing.LINES[index % len(drawing.LINES)]
        fits = [row for row in its if row.status == "fits"]
        throughput = [(row, row.samples_per_s) for row in its if row.samples_per_s is not None]
        peaks = [(row, row.peak_mib / 1024) for row in fits if row.peak_mib is not None]
        for axes, points in ((above, throughput), (below, peaks)):
            sizes, values = [row.batch_size for row, _ in points], [value for _, value in points]
            axes.plot(sizes, values, line, **style, markerfacecolor="white")
            done = [(row.batch_size, value) for row, value in points if row.measured]
            axes.plot(*zip(*done, strict=True) if done else ([], []), " ", **style)
        above.plot([], [], line, label=label, **style)
        _failed(below, [row for row in its if row.status != "fits"], style["color"])
    _memory(below, rows)
    above.set_ylim(bottom=0)
    above.set_ylabel("samples/s, about")
    drawing.batch_axis(below, (row.batch_size for row in rows))
    if len(above.get_legend_handles_labels()[1]) > 1:
        drawing.legend_below(figure)
    return figure


def _finding(rows: Sequence[TriedRow]) -> str:
    known = [(row.samples_per_s, row) for row in rows if row.samples_per_s is not None]
    if len({(row.variant, row.device, row.backend) for row in rows}) > 1 or not known:
        return "Throughput and memory by batch size"
    most, row = max(known, key=lambda pair: pair[0])
    return f"Batch {row.batch_size} is the fastest tried: about {units.count(most)} samples/s"


def _failed(below: "Axes", rows: Sequence[TriedRow], color: str) -> None:
    from harness.tables import drawing

    for row in rows:
        if row.peak_mib is not None:
            place = (row.batch_size, row.peak_mib / 1024)
            below.scatter(*place, marker="x", s=70, color=color, zorder=4)
            drawing.beside(below, row.status, *place, left=True)


def _memory(below: "Axes", rows: Sequence[TriedRow]) -> None:
    """Draw what there is of memory where it leaves the data in sight; else name it."""
    from harness.tables import drawing

    most = max((row.peak_mib for row in rows if row.peak_mib is not None), default=0.0)
    below.set_yscale("log")
    for mib in dict.fromkeys(row.memory_mib for row in rows if row.memory_mib is not None):
        text = f"memory: {units.mebibytes(mib * MIB)}"
        near = mib <= _FAR * most
        if near:
            below.axhline(mib / 1024, color="black", linewidth=0.8, linestyle=":")
        below.annotate(
            text if near else f"{text}, far above",
            (0, mib / 1024 if near else 1),
            (4, 3 if near else -8),
            xycoords=("axes fraction", "data" if near else "axes fraction"),
            textcoords="offset points",
            fontsize=8,
        )
    below.set_ylabel("peak GiB (log scale)")
    drawing.log_scale(below, "y", *below.get_ylim())


BATCH_SIZE_SEARCH = Table(
    name="batch_size_search",
    title="Batch sizes tried, doubling until the search ended",
    row=TriedRow,
    rows=_rows,
    columns=(
        Column("variant", lambda row: row.variant, numeric=False),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("batch", lambda row: str(row.batch_size)),
        Column("found", lambda row: row.status, numeric=False),
        Column("samples/s, about", lambda row: given(row.samples_per_s, units.digits)),
        Column("peak MiB", lambda row: given(row.peak_mib, units.count)),
        Column("of memory", lambda r: given(r.memory_share, lambda v: f"{100 * v:.0f} %")),
        Column("measured", lambda r: "yes" if r.measured else "no", numeric=False, rank=1),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (Limit(MOST_LINES, "lines", lambda row: (row.variant, row.device, row.backend)),),
        shows=lambda row: row.samples_per_s is not None or row.peak_mib is not None,
    ),
)
