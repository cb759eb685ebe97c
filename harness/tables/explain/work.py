"""The table of work: arithmetic and memory of each variant beside its time."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.cases import CaseData, quotient
from harness.analyze.explain import work
from harness.records import Case, Estimate, Measurement, ModelFacts, Platform
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, ends

_PANEL = ("batch_size", "device", "backend", "threads")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """One variant that was compared with another one, or that reference.

    Attributes:
        sample_us: The reference's over the speedup, since only paired rounds compare.
        peak: Of a matrix product.
        predicted: The speedup if the multiply-accumulates alone decided.
        in_sweep: Whether the variant differs from the reference in width alone.
        line: Through those variants.
        fitted_us: By the line.
        residual: Share by which the variant is off the line.
    """

    case: Case = columns("case=id variant batch_size device backend threads")
    reference: str
    facts: ModelFacts = columns(
        "parameters parameter_bytes optimizer_bytes activation_bytes_per_sample macs_per_sample "
        "macs_source"
    )
    sample_us: float
    gflops: float | None
    peak: work.Peak | None = columns(
        f"{declare.estimate('peak_gflops', 'gflops')} product_size=size"
    )
    peak_share: float | None
    parameter_ratio: float
    predicted: float | None
    speedup: Estimate = ends("low", "high")
    measured_over_predicted: float | None
    in_sweep: bool
    line: work.Line | None = columns("line_fixed_us=fixed_us line_us_per_mmac=us_per_million")
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
        group += [
            _row(known[m.case], reference, analysis.speedups.speedup(m), peaks) for m in measured
        ]
        rows += _with_line(group)
    rows.sort(key=lambda row: row.facts.macs_per_sample or math.inf)  # not counted: last
    return sorted(rows, key=declare.key_of("batch_size", "device", "backend"))


def _row(
    data: CaseData, reference: CaseData, speedup: Estimate, peaks: Mapping[Platform, work.Peak]
) -> WorkRow:
    case, facts, base = data.case, data.facts, reference.facts
    sample_s = reference.step.value / reference.case.batch_size / speedup.value
    macs = facts.macs_per_sample
    predicted = quotient(base.macs_per_sample, macs)
    peak = peaks.get(case.platform)
    gflops = None if macs is None else 2e-9 * work.PASSES * macs / sample_s
    return WorkRow(
        case=case,
        reference=reference.case.variant,
        facts=facts,
        sample_us=1e6 * sample_s,
        gflops=gflops,
        peak=peak,
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
    counted = [(row.facts.macs_per_sample, row) for row in rows]
    line = work.line([(macs, row.sample_us) for macs, row in counted if row.in_sweep and macs])
    if line is None:
        return rows
    return [
        dataclasses.replace(
            row, line=line, fitted_us=line.at(macs), residual=row.sample_us / line.at(macs) - 1
        )
        if macs
        else row
        for macs, row in counted
    ]


def _notes(rows: Sequence[WorkRow]) -> Iterator[str]:
    yield (
        "fewer MACs: the speedup if the multiply-accumulates alone decided; speedup / MACs: the "
        "measured speedup over that, 1 where arithmetic explains the time"
    )
    where = labels.place_of(rows)
    known = {
        f"{declare.interval_of(row.peak.gflops, units.digits)} GFLOP/s{where(row)}": row.peak.size
        for row in rows
        if row.peak
    }
    if known:
        sizes = sorted(set(map(str, known.values())))
        yield (
            f"GFLOP/s: {2 * work.PASSES} operations per multiply-accumulate of the forward pass; "
            f"peak: a matrix product of size {', '.join(sizes)} by the same framework on the same "
            f"threads and device, {'; '.join(known)}"
        )
    sweep = [row for row in rows if row.in_sweep and row.residual is not None]
    if sweep:
        names = ", ".join(dict.fromkeys(row.case.variant for row in sweep))
        yield (
            "off the line: from sample time = fixed + slope × MACs, fitted to the variants that "
            f"differ in width alone ({names}); these are up to {_worst(sweep):.0f} % off"
        )
    yield from labels.macs_sources(row for row in rows if not row.facts.macs_per_sample)


def _worst(rows: Sequence[WorkRow]) -> float:
    """Return the largest distance from the line, in percent."""
    return 100 * max(abs(row.residual) for row in rows if row.residual is not None)


def _draw(rows: list[WorkRow], caption: str) -> drawing.Figure:
    """Sample time over work with the line of the width sweep, a panel per batch size and device."""
    panels = list(declare.grouped(rows, declare.key_of(*_PANEL, "reference")).values())
    width = drawing.WIDTH if len(panels) == 1 else 5.0 * len(panels)
    title = f"Time per sample follows arithmetic within {_worst(rows):.0f} %"
    figure, (found,) = drawing.grid(title, caption, columns=len(panels), size=(width, 4.8))
    for axes, its in zip(found, panels, strict=True):
        drawing.subtitled(axes, labels.words(its[0], _PANEL))
        _over_work(axes, its)
    found[0].set_ylabel("µs per sample (log scale)")
    drawing.legend_below(figure, found[0].get_legend_handles_labels()[0], columns=2)
    return figure


def _over_work(axes: drawing.Axes, rows: Sequence[WorkRow]) -> None:
    macs = [(row.facts.macs_per_sample or 0) / 1e6 for row in rows]
    times = [row.sample_us for row in rows]
    line = rows[0].line or work.Line(0.0, 0.0)
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
    names = [f"{row.case.variant} {round(100 * (row.residual or 0.0)):+d} %" for row in rows]
    drawing.name_points(axes, list(zip(names, macs, times, strict=True)))
    axes.set_xlabel("million multiply-accumulates per sample, forward pass (log scale)")


def _time(row: WorkRow) -> Estimate:
    """Return µs per sample with the interval of the speedup."""
    e = row.speedup
    low, high = (None if end is None else row.sample_us * e.value / end for end in (e.high, e.low))
    return Estimate(row.sample_us, low, high, e.n)


def _in(unit: float) -> Callable[[float], str]:
    return lambda value: units.digits(value / unit)


WORK = Table(
    name="work",
    title="Does arithmetic explain the time?",
    row=WorkRow,
    rows=_rows,
    columns=(
        *labels.COMPARED,
        Column("params", "facts.parameters", units.count, rank=2),
        Column("MMACs/sample", "facts.macs_per_sample", _in(1e6), rank=1),
        Column("fewer params", "parameter_ratio", units.ratio),
        Column("fewer MACs", "predicted", units.ratio),
        Column("speedup [95 %]", "speedup", declare.speedup_of),
        Column("speedup / MACs", "measured_over_predicted", "{:.2f}".format),
        Column("GFLOP/s", "gflops", units.digits, rank=1),
        Column("of peak", "peak_share", declare.share_of, rank=1),
        Column("off the line", "residual", lambda share: f"{round(100 * share):+d} %", rank=1),
        Column("optimizer MiB", "facts.optimizer_bytes", _in(2**20), rank=3),
        Column("activations KiB/sample", "facts.activation_bytes_per_sample", _in(2**10), rank=3),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (
            Limit(declare.MOST_PANELS // 2, "panels", (*_PANEL, "reference")),
            Limit(declare.MOST_BARS, "variants", ("variant",), "residual"),
        ),
        shows=lambda row: row.fitted_us is not None,
    ),
)
