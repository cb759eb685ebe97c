"""The table of work: arithmetic and memory of each variant beside its time."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from harness import units
from harness.analyze import stats, work
from harness.analyze.analysis import Analysis
from harness.analyze.cases import CaseData, quotient
from harness.records import Case, Estimate, Measurement
from harness.tables.declare import (
    MOST_BARS,
    MOST_PANELS,
    Chart,
    Column,
    Limit,
    Table,
    ends,
    given,
    grouped,
    place_of,
    speedup_of,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, slots=True)
class WorkRow:
    """One variant that was compared with another one, or that reference.

    Attributes:
        sample_us: The reference's over the speedup, since only paired rounds compare.
        peak_gflops: Of a matrix product.
        predicted: The speedup if the multiply-accumulates alone decided.
        in_sweep: Whether the variant differs from the reference in width alone.
        line_fixed_us: Of the line through those variants.
        fitted_us: By the line.
        residual: Share by which the variant is off the line.
    """

    case: str
    variant: str
    batch_size: int
    device: str
    backend: str
    threads: int
    reference: str
    parameters: int
    parameter_bytes: int | None
    optimizer_bytes: int | None
    activation_bytes_per_sample: int | None
    macs_per_sample: int | None
    macs_source: str
    sample_us: float
    gflops: float | None
    peak_gflops: Estimate | None
    product_size: int | None
    peak_share: float | None
    parameter_ratio: float
    predicted: float | None
    speedup: Estimate = ends("low", "high")
    measured_over_predicted: float | None = None
    in_sweep: bool = False
    line_fixed_us: float | None = None
    line_us_per_mmac: float | None = None
    fitted_us: float | None = None
    residual: float | None = None


def _rows(analysis: Analysis) -> list[WorkRow]:
    known, peaks = analysis.observed, work.peaks(analysis.cases)
    groups: dict[Case, list[Measurement]] = defaultdict(list)
    for m in analysis.roles.compared("variant"):
        if m.case != m.reference:
            groups[m.reference].append(m)
    rows: list[WorkRow] = []
    for case, measured in groups.items():
        reference = known[case]
        group = [_row(reference, reference, Estimate(1.0, None, None, 0), peaks)]
        group += [_row(known[m.case], reference, stats.speedup(m), peaks) for m in measured]
        rows += _with_line(group)
    missing = float("inf")  # what cannot be counted comes last
    return sorted(
        rows,
        key=lambda r: (r.batch_size, r.device, r.backend, r.macs_per_sample or missing),
    )


def _row(
    data: CaseData, reference: CaseData, speedup: Estimate, peaks: Mapping[work.Place, work.Peak]
) -> WorkRow:
    case, facts, base = data.case, data.facts, reference.facts
    sample_s = reference.step.value / reference.case.batch_size / speedup.value
    macs = facts.macs_per_sample
    predicted = quotient(base.macs_per_sample, macs)
    peak = peaks.get(work.place(case))
    gflops = None if macs is None else 2e-9 * work.PASSES * macs / sample_s
    return WorkRow(
        case=case.id,
        variant=case.variant,
        batch_size=case.batch_size,
        device=case.device,
        backend=case.backend,
        threads=case.threads,
        reference=reference.case.variant,
        parameters=facts.parameters,
        parameter_bytes=facts.parameter_bytes,
        optimizer_bytes=facts.optimizer_bytes,
        activation_bytes_per_sample=facts.activation_bytes_per_sample,
        macs_per_sample=macs,
        macs_source=facts.macs_source,
        sample_us=1e6 * sample_s,
        gflops=gflops,
        peak_gflops=peak.gflops if peak else None,
        product_size=peak.size if peak else None,
        peak_share=quotient(gflops, peak.gflops.value if peak else None),
        parameter_ratio=base.parameters / facts.parameters,
        predicted=predicted,
        speedup=speedup,
        measured_over_predicted=quotient(speedup.value, predicted),
        in_sweep=facts.layout is not None
        and facts.layout == base.layout
        and facts.optimizer == base.optimizer,
    )


def _with_line(rows: list[WorkRow]) -> list[WorkRow]:
    """Add the line through the width sweep and what lies off the line."""
    line = work.line(
        [(r.macs_per_sample, r.sample_us) for r in rows if r.in_sweep and r.macs_per_sample]
    )
    if line is None:
        return rows
    return [
        dataclasses.replace(
            row,
            line_fixed_us=line.fixed_us,
            line_us_per_mmac=line.us_per_million,
            fitted_us=line.at(row.macs_per_sample),
            residual=row.sample_us / line.at(row.macs_per_sample) - 1,
        )
        if row.macs_per_sample
        else row
        for row in rows
    ]


def _notes(rows: Sequence[WorkRow]) -> Iterator[str]:
    yield (
        "fewer MACs: the speedup if the multiply-accumulates alone decided; speedup / MACs: the "
        "measured speedup over that, 1 where arithmetic explains the time"
    )
    where = place_of(rows)
    known = {
        f"{units.digits(peak.value)}{units.ends(peak.low, peak.high)} GFLOP/s{where(row)}": row
        for row in rows
        if (peak := row.peak_gflops) is not None
    }
    if known:
        sizes = sorted({str(row.product_size) for row in known.values()})
        yield (
            f"GFLOP/s: {2 * work.PASSES} operations per multiply-accumulate of the forward pass; "
            f"peak: a matrix product of size {', '.join(sizes)} by the same framework on the same "
            f"threads and device, {'; '.join(known)}"
        )
    sweep = [row for row in rows if row.in_sweep and row.residual is not None]
    if sweep:
        names = ", ".join(dict.fromkeys(row.variant for row in sweep))
        yield (
            "off the line: from sample time = fixed + slope × MACs, fitted to the variants that "
            f"differ in width alone ({names}); these are up to {_worst(sweep):.0f} % off"
        )
    uncounted = {row.variant: row.macs_source for row in rows if not row.macs_per_sample}
    yield from (f"MACs of {variant}: {why}" for variant, why in uncounted.items())


def _worst(rows: Sequence[WorkRow]) -> float:
    """Return the largest distance from the line, in percent."""
    return 100 * max(abs(row.residual) for row in rows if row.residual is not None)


def _draw(rows: list[WorkRow], caption: str) -> "Figure":
    """Sample time over work with the line of the width sweep, a panel per batch size and device."""
    from harness.tables import drawing

    panels = list(grouped(rows, _key).values())
    width = drawing.WIDTH if len(panels) == 1 else 5.0 * len(panels)
    title = f"Time per sample follows arithmetic within {_worst(rows):.0f} %"
    figure, (found,) = drawing.grid(title, caption, columns=len(panels), size=(width, 4.8))
    told = ("batch_size", "device", "backend", "threads")
    for axes, its in zip(found, panels, strict=True):
        drawing.subtitled(axes, words(its[0], told))
        _over_work(axes, its)
    found[0].set_ylabel("µs per sample (log scale)")
    drawing.legend_below(figure, found[0].get_legend_handles_labels()[0], columns=2)
    return figure


def _over_work(axes: "Axes", rows: Sequence[WorkRow]) -> None:
    import numpy as np

    from harness.tables import drawing

    macs = [(row.macs_per_sample or 0) / 1e6 for row in rows]
    times = [row.sample_us for row in rows]
    first = rows[0]
    line = work.Line(first.line_fixed_us or 0.0, first.line_us_per_mmac or 0.0)
    grid = np.geomspace(0.8 * min(macs), 1.25 * max(macs), 100)
    label = f"{units.digits(line.fixed_us)} µs + {units.digits(line.us_per_million)} µs per million"
    axes.plot(grid, [line.at(1e6 * x) for x in grid], "--", color="#777777", label=label)
    for in_sweep, marker, color, name in (
        (True, "o", "#0072B2", "differs from the reference in width alone: gives the line"),
        (False, "s", "#D55E00", "other variant"),
    ):
        its = [(x, row) for x, row in zip(macs, rows, strict=True) if row.in_sweep == in_sweep]
        if its:
            places, estimates = [x for x, _ in its], [_time(row) for _, row in its]
            values = [e.value for e in estimates]
            bars = drawing.arms(estimates)
            axes.errorbar(places, values, yerr=bars, fmt=marker, color=color, capsize=3, label=name)
    drawing.log_scale(axes, "x", min(macs) / 4, 4 * max(macs))  # with room for names
    drawing.log_scale(axes, "y", 0.8 * min(times), 1.3 * max(times))
    names = [f"{row.variant} {round(100 * (row.residual or 0.0)):+d} %" for row in rows]
    drawing.name_points(axes, list(zip(names, macs, times, strict=True)))
    axes.set_xlabel("million multiply-accumulates per sample, forward pass (log scale)")


def _time(row: WorkRow) -> Estimate:
    """Return µs per sample with the interval of the speedup."""
    e = row.speedup
    low, high = (None if end is None else row.sample_us * e.value / end for end in (e.high, e.low))
    return Estimate(row.sample_us, low, high, e.n)


def _key(row: WorkRow) -> tuple[int, str, str, int, str]:
    return row.batch_size, row.device, row.backend, row.threads, row.reference


WORK = Table(
    name="work",
    title="Does arithmetic explain the time?",
    row=WorkRow,
    rows=_rows,
    columns=(
        Column("variant", lambda row: row.variant, numeric=False),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("batch", lambda row: str(row.batch_size), shared=True),
        Column("reference", lambda row: row.reference, shared=True),
        Column("params", lambda row: units.count(row.parameters), rank=2),
        Column("MMACs/sample", lambda r: _in(1e6, r.macs_per_sample), rank=1),
        Column("fewer params", lambda row: units.ratio(row.parameter_ratio)),
        Column("fewer MACs", lambda row: units.ratio(row.predicted)),
        Column("speedup [95 %]", lambda row: speedup_of(row.speedup)),
        Column("speedup / MACs", lambda row: given(row.measured_over_predicted, "{:.2f}".format)),
        Column("GFLOP/s", lambda row: given(row.gflops, units.digits), rank=1),
        Column("of peak", lambda r: given(r.peak_share, lambda v: f"{100 * v:.0f} %"), rank=1),
        Column(
            "off the line",
            lambda row: given(row.residual, lambda v: f"{round(100 * v):+d} %"),
            rank=1,
        ),
        Column("optimizer MiB", lambda row: _in(2**20, row.optimizer_bytes), rank=3),
        Column(
            "activations KiB/sample",
            lambda row: _in(2**10, row.activation_bytes_per_sample),
            rank=3,
        ),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (
            Limit(MOST_PANELS // 2, "panels", _key),
            Limit(MOST_BARS, "variants", lambda row: row.variant, lambda row: row.residual),
        ),
        shows=lambda row: row.fitted_us is not None,
    ),
)


def _in(unit: float, value: float | None) -> str:
    return given(value, lambda v: units.digits(v / unit))
