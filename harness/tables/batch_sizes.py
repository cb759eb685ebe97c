"""The tables of batch sizes: what a search tried, and what a larger batch would bring."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness import units
from harness.analyze import stats, verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB, quotient
from harness.analyze.explain import batch_law
from harness.analyze.explain.batch_law import Law
from harness.analyze.verdicts import Verdict
from harness.records import Case, Estimate, Search, TriedSize
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, ends, grouped, speedup_of

_SEARCHED = ("variant", "device", "backend")
_LINE = ("variant", "device", "backend", "threads")
_MARGIN = 0.1  # of the memory, left free by the largest size that fits with a margin
_FAR = 4.0  # times the largest peak: a memory beyond is named and not drawn
_VISIBLE = 0.005  # share of a step: a chart of less shows lines at 0
_AHEAD = (2, 4)  # sizes that are predicted, as multiples of the largest measured


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TriedRow:
    """One batch size that was tried, whether it fits or not."""

    case: Case = columns("variant dataset backend device batch_size")
    status: str
    samples_per_s: float | None  # about: of one warm-up
    peak_mib: float | None  # of a size that failed: how far it got
    memory_mib: float | None
    memory_share: float | None
    fits_with_margin: bool | None
    measured: bool
    ended: str
    reason: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LawRow:
    """One batch size of a variant, measured or predicted; see `batch_law.Law` for the rest.

    Attributes:
        fitted: Speedup by the model of a fixed cost.
        gain: Speedup over the largest size measured, of a predicted size.
        overhead_us: Fixed cost per step.
        limit: The gain of very large batches.
    """

    case: Case = columns("variant backend device threads batch_size")
    reference: int
    measured: bool
    speedup: Estimate | None = ends("low", "high")
    step_us: Estimate | None = None
    fitted: Estimate | None = None
    overhead_share: Estimate | None = None
    gain: Estimate | None = None
    gain_verdict: Verdict | None = None
    alpha: Estimate | None = None
    overhead_us: Estimate | None = None
    sample_us: Estimate | None = None
    half_batch: Estimate | None = None
    limit: Estimate | None = None
    lack_of_fit_p: float | None
    misfit: float
    reason: str


def _tried(search: Search, tried: TriedSize) -> TriedRow:
    fits, share = tried.step_seconds is not None, quotient(tried.peak_bytes, search.memory_bytes)
    return TriedRow(
        case=dataclasses.replace(search.case, batch_size=tried.batch_size),
        status=tried.status,
        samples_per_s=quotient(tried.batch_size, tried.step_seconds),
        peak_mib=quotient(tried.peak_bytes, MIB),
        memory_mib=quotient(search.memory_bytes, MIB),
        memory_share=share,
        fits_with_margin=share <= 1 - _MARGIN if fits and share is not None else None,
        measured=tried.batch_size in search.chosen,
        ended=search.ended,
        reason=tried.message or None,
    )


def _search_notes(rows: Sequence[TriedRow]) -> Iterator[str]:
    yield (
        "samples/s: of one warm-up each, so rough and never compared; sizes that are not measured "
        "afterwards are far slower"
    )
    for its in grouped(rows, declare.key_of("variant", "device")).values():
        case = its[0].case
        name = f"{case.variant} on the {case.device.upper()}"
        yield f"{name}: the search ended because {its[0].ended}; {_largest(its)}"
    for row in rows:
        if row.reason:
            reached = "" if row.peak_mib is None else f", at {units.count(row.peak_mib)} MiB"
            yield f"batch {row.case.batch_size}: {row.status}{reached}: {row.reason}"


def _largest(rows: Sequence[TriedRow]) -> str:
    if all(row.fits_with_margin is None for row in rows):
        return "what fits into the memory is not known"
    fitting = [row.case.batch_size for row in rows if row.fits_with_margin]
    margin = f"with {100 * _MARGIN:.0f} % of the memory left free"
    return f"the largest that fits {margin}: {max(fitting)}" if fitting else f"none fits {margin}"


def _draw_search(rows: list[TriedRow], caption: str) -> drawing.Figure:
    """Throughput above, memory below; a size that failed is a cross at how far it got."""
    figure, ((above,), (below,)) = drawing.grid(
        _chosen(rows), caption, rows=2, size=(drawing.WIDTH, 5.4), share="col"
    )
    drawing.subtitled(above, "One warm-up per size, a rough estimate; filled: measured afterwards")
    for index, label, its in labels.lines_of(rows, ("variant", "device"), ("backend",)):
        look = drawing.look(index)
        throughput = [(row, row.samples_per_s) for row in its if row.samples_per_s is not None]
        reached = [(row, row.peak_mib / 1024) for row in its if row.peak_mib is not None]
        peaks = [(row, gib) for row, gib in reached if row.status == "fits"]
        for axes, points in ((above, throughput), (below, peaks)):
            sizes = [row.case.batch_size for row, _ in points]
            axes.plot(sizes, [value for _, value in points], **look, markerfacecolor="white")
            done = [(row.case.batch_size, value) for row, value in points if row.measured]
            axes.plot(*zip(*done, strict=True) if done else ([], []), **look | {"linestyle": " "})
        above.plot([], [], label=label, **look)
        for row, gib in reached:
            if row.status != "fits":
                place = (row.case.batch_size, gib)
                below.scatter(*place, marker="x", s=70, color=look["color"], zorder=4)
                drawing.beside(below, row.status, *place, left=True)
    _memory(below, rows)
    above.set_ylim(bottom=0)
    above.set_ylabel("samples/s, about")
    drawing.batch_axis(below, (row.case.batch_size for row in rows))
    if len(above.get_legend_handles_labels()[1]) > 1:
        drawing.legend_below(figure)
    return figure


def _chosen(rows: Sequence[TriedRow]) -> str:
    sizes = [row.case.batch_size for row in rows if row.measured]
    if labels.differing(rows, _SEARCHED) or not sizes:
        return "Throughput and memory by batch size"
    many = f"{min(sizes)} to {max(sizes)} are" if len(sizes) > 1 else f"{sizes[0]} is"
    return f"First try: batch {many} worth measuring"


def _memory(below: drawing.Axes, rows: Sequence[TriedRow]) -> None:
    """Draw what there is of memory where it leaves the data in sight; else name it."""
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


def _laws(analysis: Analysis) -> list[LawRow]:
    rows = [
        row
        for reference, law, points in batch_law.laws(analysis)
        for row in _law(reference, law, points, analysis.observed[reference].step)
    ]
    return sorted(rows, key=declare.key_of("variant", "device", "batch_size"))


def _law(
    reference: Case, law: Law, points: Mapping[int, Sequence[float]], step: Estimate
) -> Iterator[LawRow]:
    measured = {reference.batch_size, *points}
    ahead = () if law.reason else (factor * law.largest for factor in _AHEAD)
    for size in sorted({*measured, *ahead}):
        row = LawRow(
            case=dataclasses.replace(reference, batch_size=size),
            reference=reference.batch_size,
            measured=size in measured,
            speedup=stats.log_interval(points[size]) if size in points else None,
            lack_of_fit_p=None if math.isnan(law.lack_of_fit_p) else law.lack_of_fit_p,
            misfit=law.misfit,
            reason=law.reason,
        )
        yield row if law.reason else _fitted(row, law, step)


def _fitted(row: LawRow, law: Law, step: Estimate) -> LawRow:
    def microseconds(times: Estimate) -> Estimate:
        return batch_law.in_microseconds(times, step, law.reference)

    size = row.case.batch_size
    gain = law.gain(size) if size > law.largest else None
    return dataclasses.replace(
        row,
        step_us=microseconds(law.of(lambda alpha: size * law.sample_time(alpha, size))),
        fitted=law.speedup(size),
        overhead_share=law.overhead_share(size),
        gain=gain,
        gain_verdict=None if gain is None or gain.low is None else verdicts.verdict(gain),
        alpha=law.alpha,
        overhead_us=microseconds(law.of(lambda alpha: alpha)),
        sample_us=microseconds(law.of(lambda alpha: law.sample_time(alpha, math.inf))),
        half_batch=law.half_batch(),
        limit=law.gain(math.inf),
    )


def _milliseconds(us: Estimate) -> str:
    return declare.interval_of(us, lambda value: units.digits(value / 1e3))


def _law_notes(rows: Sequence[LawRow]) -> Iterator[str]:
    where = labels.place_of(rows)
    for its in grouped(rows, declare.key_of(*_LINE)).values():
        yield f"{its[0].case.variant}{where(its[0])}: {its[0].reason or _line(its[0])}"
    yield "model: step time = fixed cost per step + cost per sample, fitted to the paired speedups"
    if any(row.gain is not None for row in rows):
        yield (
            "sizes beyond the largest measured are predicted by the model; no gain: within "
            f"{100 * verdicts.MARGIN:g} % of the largest measured"
        )


def _line(row: LawRow) -> str:
    alpha, fixed, half = row.alpha, row.overhead_us, row.half_batch
    if alpha is None or fixed is None or half is None or row.sample_us is None:
        return ""
    per_sample = f"{_short(row.sample_us)} µs per sample"
    limit = f"very large batches would reach {speedup_of(row.limit)} of the largest measured"
    if (alpha.value if alpha.low is None else alpha.low) <= 0:
        most = "" if fixed.high is None else f" (at most {_number(fixed.high / 1e3)} ms)"
        return f"no fixed cost per step is visible{most}; {per_sample}; {limit}"
    return (
        f"a step takes {_short(fixed, 1e3)} ms + {per_sample}; half of a step is fixed cost at "
        f"batch {_short(half)}; {limit}"
    )


def _short(estimate: Estimate, unit: float = 1.0) -> str:
    return declare.interval_of(estimate, lambda value: _number(value / unit))


def _number(value: float) -> str:
    return units.digits(value) if abs(value) < 1000 else units.count(value)


def _draw_law(rows: list[LawRow], caption: str) -> drawing.Figure:
    """The share of the fixed cost in a step over the batch size, a line per fit."""
    subtitle = "Share of the fixed cost in a step, with 95 % interval"
    figure, axes = drawing.single(
        _finding(rows), f"{subtitle}; {labels.common(rows, _LINE[1:])}", caption, 4.2
    )
    sizes = [row.case.batch_size for row in rows]
    grid = np.geomspace(min(sizes), max(sizes), 100)
    for index, label, its in labels.lines_of(rows, _LINE[:1], _LINE[1:]):
        look, alpha, reference = drawing.look(index), its[0].alpha, its[0].reference
        if alpha is None:
            continue
        axes.plot(grid, _percent(alpha.value, reference, grid), **look | {"marker": ""})
        if alpha.low is not None and alpha.high is not None:
            low, high = (_percent(end, reference, grid) for end in (alpha.low, alpha.high))
            band: Any = {"color": look["color"], "alpha": 0.15, "linewidth": 0}
            axes.fill_between(grid, np.maximum(0, low), np.maximum(0, high), **band)
        for measured, kind in ((True, "measured"), (False, "predicted")):
            points = [
                (row.case.batch_size, 100 * _share(row)) for row in its if row.measured == measured
            ]
            if points:
                dots = look | {"linestyle": " ", "label": f"{label}, {kind}"}
                dots["markerfacecolor"] = look["color"] if measured else "white"
                axes.plot(*zip(*points, strict=True), **dots)
    drawing.batch_axis(axes, sizes)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_ylabel("fixed cost, % of a step")
    drawing.legend_below(figure)
    return figure


def _percent(alpha: float, reference: float, sizes: Any) -> Any:
    """Return the share of the fixed cost, see `Law.overhead_share`, in percent."""
    return 100 * alpha / sizes / (1 + alpha * (1 / sizes - 1 / reference))


def _finding(rows: Sequence[LawRow]) -> str:
    key, measured = declare.key_of(*_LINE), [row for row in rows if row.measured]
    row = max(measured, key=_share)
    last = max((r for r in measured if key(r) == key(row)), key=lambda r: r.case.batch_size)
    return (
        f"Fixed cost per step of {row.case.variant}: {units.percent(100 * _share(row))} at batch "
        f"{row.case.batch_size}, {units.percent(100 * _share(last))} at {last.case.batch_size}"
    )


def _share(row: LawRow) -> float:
    return 0.0 if row.overhead_share is None else row.overhead_share.value


BATCH_SIZE_SEARCH = Table(
    name="batch_size_search",
    title="Batch sizes tried, doubling until the search ended",
    row=TriedRow,
    rows=lambda analysis: [_tried(its, t) for its in analysis.run.searches for t in its.probes],
    columns=(
        *labels.CASE,
        labels.EACH_BATCH,
        Column("found", "status", numeric=False),
        Column("samples/s, about", "samples_per_s", units.digits),
        Column("peak MiB", "peak_mib", units.count),
        Column("of memory", "memory_share", declare.share_of),
        Column("measured", "measured", declare.yes_or_no, numeric=False, rank=1),
    ),
    notes=_search_notes,
    chart=Chart(
        _draw_search,
        (Limit(declare.MOST_LINES, "lines", _SEARCHED),),
        shows=lambda row: row.samples_per_s is not None or row.peak_mib is not None,
    ),
)
BATCH_SIZE_LAW = Table(
    name="batch_size_law",
    title="Would a larger batch help? Step time as fixed cost + cost per sample",
    row=LawRow,
    rows=_laws,
    csv="variant backend device threads reference *",
    columns=(
        *labels.COMPARED,
        Column("ms/step by the model [95 %]", "step_us", _milliseconds, rank=3),
        Column("measured [95 %]", "speedup", speedup_of, rank=2),
        Column("by the model [95 %]", "fitted", speedup_of),
        Column("fixed cost [95 %]", "overhead_share", declare.percent_of, rank=1),
        Column("over the largest [95 %]", "gain", speedup_of),
        Column(
            "verdict",
            lambda row: "no gain" if row.gain_verdict == "same" else row.gain_verdict,
            numeric=False,
        ),
    ),
    notes=_law_notes,
    chart=Chart(
        _draw_law,
        (Limit(declare.MOST_LINES, "lines", _LINE, _share),),
        shows=lambda row: row.overhead_share is not None,
        answers=lambda rows: any(_share(row) > _VISIBLE for row in rows),
    ),
)
