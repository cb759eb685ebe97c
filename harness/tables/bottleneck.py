"""The table of bottlenecks: what decides the time of each case, and what to try next."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.bottleneck import (
    BOUNDS,
    DISTURBED,
    NOT_SHOWN,
    ORDER,
    THROTTLED,
    Bottleneck,
    Bound,
    bottlenecks,
)
from harness.records import Estimate
from harness.tables.declare import (
    MOST_BARS,
    Chart,
    Column,
    Limit,
    Table,
    grouped,
    names_of,
    percent_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FEW = 3


@dataclasses.dataclass(frozen=True, slots=True)
class BottleneckRow:
    """One measured case.

    Attributes:
        verdict: The first in `ORDER` that is shown.
        also: The others.
        step_bytes: A lower bound.
        step_flop: An upper bound.
        missing: Why shares are not known.
        auxiliary: Whether the case exists only for a table of its own.
    """

    case: str
    variant: str
    dataset: str
    batch_size: int
    backend: str
    device: str
    threads: int
    precision: str
    jit: bool
    verdict: str
    also: str
    evidence: tuple[str, ...]
    advice: str
    input_share: Estimate | None
    overhead_share: Estimate | None
    memory_share: Estimate | None
    compute_share: Estimate | None
    step_bytes: float | None
    copy_bytes_per_s: float | None
    step_flop: float | None
    product_flops: float | None
    missing: tuple[str, ...]
    auxiliary: bool


def _rows(analysis: Analysis) -> list[BottleneckRow]:
    return [_row(found, analysis) for found in bottlenecks(analysis)]


def _row(found: Bottleneck, analysis: Analysis) -> BottleneckRow:
    case, shares = found.data.case, found.shares
    return BottleneckRow(
        case=case.id,
        variant=case.variant,
        dataset=case.dataset,
        batch_size=case.batch_size,
        backend=case.backend,
        device=case.device,
        threads=case.threads,
        precision=case.precision,
        jit=case.jit,
        verdict=found.verdict,
        also=", ".join(dict.fromkeys(f.verdict for f in found.findings[1:])),
        evidence=tuple(f.evidence for f in found.findings),
        advice=found.advice,
        input_share=shares["input_share"].estimate,
        overhead_share=shares["overhead_share"].estimate,
        memory_share=shares["memory_share"].estimate,
        compute_share=shares["compute_share"].estimate,
        step_bytes=found.step_bytes,
        copy_bytes_per_s=found.copy_rate,
        step_flop=found.step_flop,
        product_flops=found.product_rate,
        missing=tuple(
            f"{name.removesuffix('_share')}: {share.missing}"
            for name, share in shares.items()
            if share.missing
        ),
        auxiliary=case in analysis.roles.auxiliary,
    )


def _notes(rows: Sequence[BottleneckRow]) -> Iterator[str]:
    yield from _tries(rows)
    thresholds = ", ".join(f"{b.verdict} {100 * b.threshold:.0f} %" for b in BOUNDS)
    yield f"a bottleneck is shown where the whole interval lies at or above: {thresholds}"
    if any(row.also for row in rows):
        yield f"of several the first is named: {', '.join(ORDER)}"
    yield (
        "shares of a step's time. added by fit: input that is not hidden behind steps; fixed cost: "
        "see the table of batch sizes; memory: at least, the bytes that a step moves at the rate "
        "of a copy; arithmetic: at most, at the rate of a matrix product"
    )
    name = _namer(rows)
    for row in rows:
        if {row.verdict, *row.also.split(", ")} & {THROTTLED, DISTURBED}:
            yield f"{name(row)}: {'; '.join(row.evidence)}"
    missing = grouped([(reason, row) for row in rows for reason in row.missing], lambda p: p[0])
    for reason, its in missing.items():  # a few cases are named, many show as gaps
        few = len(its) <= _FEW and len(its) < len(rows)
        yield f"missing: {reason}" + (f" [{', '.join(name(row) for _, row in its)}]" if few else "")


def _tries(rows: Sequence[BottleneckRow]) -> Iterator[str]:
    for verdict in (*ORDER, NOT_SHOWN):
        for advice in dict.fromkeys(row.advice for row in rows if row.verdict == verdict):
            what = "what would show it: " if verdict == NOT_SHOWN else ""
            yield f"{verdict}: {what}{advice}"


def _namer(rows: Sequence[BottleneckRow]) -> Callable[[BottleneckRow], str]:
    """Return what names a case by the fields in which cases differ."""
    fields = ("variant", "batch_size", "backend", "device", "threads")
    told = [f for f in fields if len({getattr(row, f) for row in rows}) > 1] or fields[:2]
    words = {"threads": "t{}"}
    return lambda row: " ".join(words.get(f, "{}").format(getattr(row, f)) for f in told)


_PANELS = {  # of the bounds, by share
    "input_share": "added by fit",
    "overhead_share": "fixed cost",
    "memory_share": "memory, at least",
    "compute_share": "arithmetic, at most",
}
_LABEL = ("variant", "batch_size", "device", "backend", "precision", "dataset", "threads")


def _draw(rows: list[BottleneckRow], caption: str) -> "Figure":
    """A panel per share with a line where the share begins to decide; a row per case."""
    from harness.tables import drawing

    rows = sorted(rows, key=_order)
    bounds = [b for b in BOUNDS if any(getattr(row, b.share) is not None for row in rows)]
    size = (drawing.WIDTH, 1.5 + 0.24 * max(4, len(rows)))
    figure, (panels,) = drawing.grid(
        _finding(rows), caption, columns=len(bounds), size=size, share="row"
    )
    labels, same = names_of(rows, _LABEL[:2], _LABEL[2:])
    drawing.horizontal(panels[0], labels)
    for axes, bound in zip(panels, bounds, strict=True):
        drawing.subtitled(axes, _PANELS[bound.share])
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.grid(axis="y", visible=False)
        _shares(axes, rows, bound)
    verdicts = panels[-1].secondary_yaxis("right")
    verdicts.set_yticks(range(len(rows)), [row.verdict for row in rows], fontsize=8)
    verdicts.tick_params(length=0)
    verdicts.spines["right"].set_visible(False)
    text = f"% of a step, with 95 % interval; dashed: decides from here on\n{same}"
    figure.supxlabel(text, fontsize=8.5)
    return figure


def _shares(axes: "Axes", rows: Sequence[BottleneckRow], bound: Bound) -> None:
    from harness.tables import drawing

    highest = 100 * bound.threshold
    for place, row in enumerate(rows):
        share: Estimate | None = getattr(row, bound.share)
        if share is None:
            continue
        percent = share.times(100)
        shown = bound.verdict in (row.verdict, *row.also.split(", "))
        axes.barh(
            place,
            max(0.0, percent.value),
            0.7,
            color=drawing.COLORS[0] if shown else drawing.GRAY,
            hatch="" if shown else "//",
            **drawing.EDGE,
        )
        if percent.low is not None:
            axes.errorbar(
                percent.value,
                place,
                xerr=drawing.arms([percent]),
                fmt="none",
                color="black",
                capsize=2,
                linewidth=1,
            )
        highest = max(highest, drawing.reach([percent])[1])
    axes.axvline(100 * bound.threshold, color="black", linewidth=1, linestyle="--")
    axes.set_xlim(0, 1.1 * highest)


def _order(row: BottleneckRow) -> tuple[int, float]:
    """Those of one bottleneck together, the largest share first."""
    place = (*ORDER, NOT_SHOWN).index(row.verdict)
    names = [bound.share for bound in BOUNDS if bound.verdict == row.verdict]
    shares: list[Estimate | None] = [getattr(row, name) for name in names]
    return place, -max((share.value for share in shares if share is not None), default=0.0)


def _finding(rows: Sequence[BottleneckRow]) -> str:
    counts = Counter(row.verdict for row in rows)
    if len(rows) == 1:
        return f"{rows[0].variant} at batch {rows[0].batch_size} is {rows[0].verdict}"
    found = (f"{verdict} in {counts[verdict]}" for verdict in ORDER if counts[verdict])
    text = f"{', '.join(found)} of {len(rows)} cases"
    return text[0].upper() + text[1:]


BOTTLENECK = Table(
    name="bottleneck",
    title="What decides the time",
    row=BottleneckRow,
    rows=_rows,
    selected=lambda rows: [row for row in rows if not row.auxiliary],
    columns=(
        Column("variant", lambda row: row.variant, numeric=False),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("threads", lambda row: str(row.threads), shared=True),
        Column("batch", lambda row: str(row.batch_size), shared=True),
        Column("bottleneck", lambda row: row.verdict, numeric=False),
        Column("also", lambda row: row.also or units.MISSING, numeric=False, rank=1),
        Column("added by fit [95 %]", lambda row: percent_of(row.input_share), rank=3),
        Column("fixed cost [95 %]", lambda row: percent_of(row.overhead_share), rank=2),
        Column("memory [95 %]", lambda row: percent_of(row.memory_share), rank=2),
        Column("arithmetic [95 %]", lambda row: percent_of(row.compute_share), rank=2),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (Limit(MOST_BARS, "cases"),),
        shows=lambda row: not row.auxiliary,
        answers=lambda rows: any(row.verdict in {b.verdict for b in BOUNDS} for row in rows),
    ),
)
