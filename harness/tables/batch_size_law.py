"""The table of step times: the fixed cost per step, and what a larger batch would bring."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze import batch_law, stats, verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.batch_law import Law
from harness.analyze.verdicts import MARGIN, Verdict
from harness.records import Case, Estimate
from harness.tables.declare import (
    MOST_LINES,
    Chart,
    Column,
    Limit,
    Table,
    common,
    ends,
    given,
    grouped,
    lines_of,
    percent_of,
    place_of,
    speedup_of,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VISIBLE = 0.005  # share of a step: a chart of less shows lines at 0
_AHEAD = (2, 4)  # sizes that are predicted, as multiples of the largest measured


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LawRow:
    """One batch size of a variant, measured or predicted.

    Attributes:
        fitted: Speedup by the law.
        overhead_share: Share of the fixed cost in a step.
        gain: Speedup over the largest size measured, of a predicted size.
        alpha: See `batch_law`.
        overhead_us: Fixed cost per step.
        half_batch: Batch size at which half of a step is fixed cost.
        limit: Speedup of very large batches over the largest size measured.
        reason: Why the law is refused; empty when it holds.
    """

    variant: str
    backend: str
    device: str
    threads: int
    reference: str
    batch_size: int
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


def _rows(analysis: Analysis) -> list[LawRow]:
    rows = [
        row
        for reference, law, points in batch_law.laws(analysis)
        for row in _of(reference, law, points, analysis.observed[reference].step)
    ]
    return sorted(rows, key=lambda row: (row.variant, row.device, row.batch_size))


def _of(
    reference: Case, law: Law, points: Mapping[int, Sequence[float]], step: Estimate
) -> Iterator[LawRow]:
    measured = {reference.batch_size, *points}
    ahead = () if law.reason else (factor * law.largest for factor in _AHEAD)
    for size in sorted({*measured, *ahead}):
        row = LawRow(
            variant=reference.variant,
            backend=reference.backend,
            device=reference.device,
            threads=reference.threads,
            reference=str(reference.batch_size),
            batch_size=size,
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

    size = row.batch_size
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
    return units.digits(us.value / 1e3) + units.ends(us.low, us.high, 1e3)


def _notes(rows: Sequence[LawRow]) -> Iterator[str]:
    where = place_of(rows)
    for its in grouped(rows, lambda r: (r.variant, r.backend, r.device, r.threads)).values():
        yield f"{its[0].variant}{where(its[0])}: {its[0].reason or _line(its[0])}"
    yield "law: step time = fixed cost per step + cost per sample, fitted to the paired speedups"
    if any(row.gain is not None for row in rows):
        yield (
            "sizes beyond the largest measured are predicted by the law; no gain: within "
            f"{100 * MARGIN:g} % of the largest measured"
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
    parts = (estimate.value, estimate.low, estimate.high)
    value, *interval = (_number(part / unit) for part in parts if part is not None)
    return f"{value} [{', '.join(interval)}]" if interval else value


def _number(value: float) -> str:
    return units.digits(value) if abs(value) < 1000 else units.count(value)


def _draw(rows: list[LawRow], caption: str) -> "Figure":
    """The share of the fixed cost in a step over the batch size, a line per fit."""
    import numpy as np

    from harness.tables import drawing

    subtitle = "Share of the fixed cost in a step, with 95 % interval"
    same = common(rows, ("device", "backend", "threads"))
    figure, axes = drawing.single(_finding(rows), f"{subtitle}; {same}", caption, 4.2)
    sizes = [row.batch_size for row in rows]
    grid = np.geomspace(min(sizes), max(sizes), 100)
    by = ("device", "backend", "threads")
    for index, (label, its) in enumerate(lines_of(rows, ("variant",), by)):
        color = drawing.COLORS[index % len(drawing.COLORS)]
        marker = drawing.MARKERS[index % len(drawing.MARKERS)]
        alpha = its[0].alpha
        if alpha is None:
            continue
        reference = float(its[0].reference)

        axes.plot(
            grid, _percent(alpha.value, reference, grid), drawing.LINES[index % 4], color=color
        )
        if alpha.low is not None and alpha.high is not None:
            ends = (_percent(end, reference, grid) for end in (alpha.low, alpha.high))
            low, high = (np.maximum(0, end) for end in ends)
            axes.fill_between(grid, low, high, color=color, alpha=0.15, linewidth=0)
        for measured, face, kind in ((True, color, "measured"), (False, "white", "predicted")):
            points = [
                (row.batch_size, 100 * row.overhead_share.value)
                for row in its
                if row.measured == measured and row.overhead_share is not None
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    " ",
                    color=color,
                    marker=marker,
                    markerfacecolor=face,
                    label=f"{label}, {kind}",
                )
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
    known = [(row.overhead_share.value, row) for row in rows if row.overhead_share and row.measured]
    largest, row = max(known, key=lambda pair: pair[0])
    its = [(r.batch_size, share) for share, r in known if _same_line(r, row)]
    last, least = max(its)
    return (
        f"Fixed cost per step of {row.variant}: {units.percent(100 * largest)} at batch "
        f"{row.batch_size}, {units.percent(100 * least)} at {last}"
    )


def _same_line(row: LawRow, other: LawRow) -> bool:
    return _key(row) == _key(other)


def _key(row: LawRow) -> tuple[str, str, str, int]:
    return row.variant, row.device, row.backend, row.threads


def _share(row: LawRow) -> float:
    return 0.0 if row.overhead_share is None else row.overhead_share.value


BATCH_SIZE_LAW = Table(
    name="batch_size_law",
    title="Would a larger batch help? Step time as fixed cost + cost per sample",
    row=LawRow,
    rows=_rows,
    columns=(
        Column("variant", lambda row: row.variant, numeric=False),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("batch", lambda row: str(row.batch_size), shared=True),
        Column("reference", lambda row: row.reference, shared=True),
        Column("ms/step by the law [95 %]", lambda row: given(row.step_us, _milliseconds), rank=3),
        Column("measured [95 %]", lambda row: speedup_of(row.speedup), rank=2),
        Column("by the law [95 %]", lambda row: speedup_of(row.fitted)),
        Column("fixed cost [95 %]", lambda row: percent_of(row.overhead_share), rank=1),
        Column("over the largest [95 %]", lambda row: speedup_of(row.gain)),
        Column(
            "verdict",
            lambda row: "no gain" if row.gain_verdict == "same" else given(row.gain_verdict),
            numeric=False,
        ),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (Limit(MOST_LINES, "lines", _key, _share),),
        shows=lambda row: row.overhead_share is not None,
        answers=lambda rows: any(_share(row) > _VISIBLE for row in rows),
    ),
)
