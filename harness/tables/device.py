"""When a GPU pays: batch size and steps; charts of its speedup and of its readings."""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from harness import units
from harness.analyze import roles, rounds
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB, quotient
from harness.analyze.devices import crossover, gpu
from harness.analyze.devices.crossover import Crossover
from harness.records import Case, GpuUsage, Measurement
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns

MOST_TIMELINES = 24  # files, one per case on a GPU


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CrossoverRow:
    """The batch size from which a model is as fast on the GPU as on the CPU."""

    case: Case = columns("variant backend threads device")
    reference: str
    found: Crossover = columns("batch_size=value low high reason")
    sizes: str  # all batch sizes that were measured


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvenRow:
    """The steps and epochs after which the GPU has made up for its slower start."""

    case: Case = columns("variant backend threads batch_size device")
    reference: str
    ready_s: float  # from the start of a worker to the end of its first step, median of blocks
    reference_ready_s: float
    found: Crossover = columns("pays_after_steps=value low high reason")
    pays_after_epochs: float | None
    blocks: int


def _on_gpu(analysis: Analysis) -> list[list[Measurement]]:
    """Group the GPU's comparisons that differ in batch size alone, in order of size."""
    its = [
        m
        for m in analysis.roles.measured
        if m.case.device == "gpu" and roles.differs_only_in("device", m.case, m.reference)
    ]
    alike = declare.grouped(its, lambda m: dataclasses.replace(m.case, batch_size=0))
    return [sorted(group, key=lambda m: m.case.batch_size) for group in alike.values()]


def _crossover(measured: Sequence[Measurement], analysis: Analysis) -> CrossoverRow:
    return CrossoverRow(
        case=measured[0].case,
        reference=measured[0].reference.device,
        found=crossover.batch_size(
            [(m.case.batch_size, analysis.speedups.speedup(m)) for m in measured]
        ),
        sizes=",".join(str(m.case.batch_size) for m in measured),
    )


def _break_even(m: Measurement) -> BreakEvenRow:
    found, size = crossover.break_even_samples(m), m.case.batch_size
    steps, low, high = (quotient(n, size) for n in (found.value, found.low, found.high))
    ready = {
        role: statistics.median(s.ready_seconds for s in m.starts if s.role == role)
        for role in ("case", "reference")
    }
    return BreakEvenRow(
        case=m.case,
        reference=m.reference.device,
        ready_s=ready["case"],
        reference_ready_s=ready["reference"],
        found=Crossover(steps, low, high, found.reason),
        pays_after_epochs=quotient(found.value, m.facts.train_samples),
        blocks=len(rounds.blocks(m)),
    )


def _open_interval(found: Crossover) -> str:
    """Write a count with its interval, of which an end may be missing."""
    if found.value is None:
        return units.MISSING
    if found.low is None and found.high is None:
        return about(found.value)
    return f"{about(found.value)} [{about(found.low)}, {about(found.high)}]"


def about(value: float | None) -> str:
    """Write a count: two digits of a small one."""
    return units.count(value) if value is None or value >= 100 else units.digits(value, 2)


def _draw_crossover(rows: list[CrossoverRow], caption: str) -> drawing.Figure:
    """Draw where each variant's speedup crosses 1, within the sizes measured."""
    where, some = _known(rows, "models")
    figure, axes = drawing.single(
        f"The GPU is as fast as the CPU from batch {where} on{some}",
        "batch size at which the speedup of the GPU crosses 1, with 95 % interval; gray: measured",
        caption,
        1.7 + 0.5 * len(rows),
    )
    sizes = sorted({int(size) for row in rows for size in row.sizes.split(",")})
    axes.axvspan(sizes[0], sizes[-1], color="#eeeeee", zorder=0)
    drawing.batch_axis(axes, sizes)
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
    _spans(axes, rows, "variant")
    return figure


def _draw_break_even(rows: list[BreakEvenRow], caption: str) -> drawing.Figure:
    """Draw the steps until the GPU has made up for its start, a row per variant and batch size."""
    where, some = _known(rows, "cases")
    figure, axes = drawing.single(
        f"The GPU makes up for its slower start after {where} steps{some}",
        "training steps until the GPU is ahead of the CPU, with 95 % interval",
        caption,
        1.7 + 0.5 * len(rows),
    )
    axes.set_xscale("symlog", linthresh=1)
    farthest = max(max(row.found.high or 0.0, row.found.value or 0.0) for row in rows)
    axes.set_xlim(0, max(10.0, 6 * farthest))
    axes.xaxis.set_major_formatter(lambda value, _: units.count(value))
    _spans(axes, rows, "variant", "batch_size")
    axes.set_xlabel("training steps (log scale)")
    return figure


def _known(rows: Sequence[CrossoverRow] | Sequence[BreakEvenRow], what: str) -> tuple[str, str]:
    """Write the range of the known values, and how many there are unless all are known."""
    known = [row.found.value for row in rows if row.found.value is not None]
    some = "" if len(known) == len(rows) else f" ({len(known)} of {len(rows)} {what})"
    return declare.span(known, about), some


def _spans(
    axes: drawing.Axes, rows: Sequence[CrossoverRow] | Sequence[BreakEvenRow], *always: str
) -> None:
    """Draw a value with its interval per row, and the reason where either is missing."""
    told = [*always, *labels.differing(rows, ("backend", "threads"))]
    pairs = [(row.found, labels.words(row, told)) for row in rows]
    pairs.sort(key=lambda pair: math.inf if pair[0].value is None else pair[0].value)
    drawing.horizontal(axes, [label for _, label in pairs])
    for place, (found, _) in enumerate(pairs):
        value = found.value
        if value is None:
            drawing.beside(axes, found.reason, axes.get_xlim()[0], place)
            continue
        ends = [value if end is None else end for end in (found.low, found.high)]
        axes.plot(ends, [place] * 2, color=drawing.COLORS[0], linewidth=3, solid_capstyle="butt")
        axes.plot(value, place, "o", color="black", zorder=4)
        note = "  ".join(filter(None, (about(value), found.reason)))
        axes.annotate(
            note, (value, place), (0, 7), textcoords="offset points", fontsize=8, ha="center"
        )


_READINGS: tuple[tuple[str, str, float], ...] = (  # field of a trace, label, size of the unit
    ("utilization_percent", "GPU %", 1.0),
    ("power_watts", "power W", 1.0),
    ("sm_clock_mhz", "SM clock MHz", 1.0),
    ("memory_bytes", "memory MiB", MIB),
    ("temperature_celsius", "°C", 1.0),
)


def timelines(analysis: Analysis, caption: str) -> Iterator[tuple[str, drawing.Figure]]:
    """Draw the readings of the GPU during the rounds of each case, by the name `gpu_CASE`."""
    read = [
        (data.case.id, usages)
        for data in analysis.cases
        if (usages := [usage for usage in data.usages if usage.trace.seconds])
    ]
    caption = "; ".join((caption, *timelines_left_out(len(read))))
    for case, usages in read[:MOST_TIMELINES]:
        yield f"gpu_{case}", _timeline(case, usages, caption)


def timelines_left_out(cases: int) -> list[str]:
    """Write a line on the cases whose readings have no chart, if there are any."""
    left, which = cases - MOST_TIMELINES, ("cases", "the first ones", "run.json")
    return [declare.left_out_line(left, cases, *which)] if left > 0 else []


def _timeline(case: str, usages: Sequence[GpuUsage], caption: str) -> drawing.Figure:
    """Draw a panel per reading, a line per worker."""
    known = [
        (name, label, size)
        for name, label, size in _READINGS
        if any(value is not None for usage in usages for value in getattr(usage.trace, name))
    ]
    busy, power = gpu.utilization_percent(usages).value, gpu.power_watts(usages).value
    finding = "" if busy is None else f" was busy {busy:.0f} % of the time"
    finding += "" if power is None else f"{' and' if finding else ''} used {power:.0f} W"
    title, many = f"The GPU{finding}" if finding else "Readings of the GPU", max(1, len(known))
    size = (drawing.WIDTH, 1.2 + 1.2 * many)
    figure, panels = drawing.grid(title, caption, rows=many, size=size, share="col")
    drawing.subtitled(panels[0][0], f"while {case} trained; a line per worker")
    for (axes,), (name, label, unit) in zip(panels, known, strict=False):
        for index, usage in enumerate(usages):
            values = [math.nan if v is None else v / unit for v in getattr(usage.trace, name)]
            looks = drawing.look(index) | {"marker": "", "linewidth": 1}
            axes.plot(usage.trace.seconds, values, label=f"worker {index + 1}", **looks)
        axes.set_ylabel(label, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.margins(y=0.15)
    panels[-1][0].set_xlabel("seconds since the rounds of a worker began")
    if known:
        drawing.legend_below(figure, panels[0][0].get_legend_handles_labels()[0], columns=6)
    return figure


_REMARK = Column[Any]("remark", lambda row: row.found.reason or None, numeric=False)
_SPANS: dict[str, Any] = {
    "limits": (Limit[Any](declare.MOST_BARS, "rows"),),
    "answers": lambda rows: any(row.found.value is not None for row in rows),
}

DEVICE_CROSSOVER = Table(
    name="device_crossover",
    title="Batch size from which the GPU is as fast as the CPU",
    row=CrossoverRow,
    rows=lambda analysis: [_crossover(group, analysis) for group in _on_gpu(analysis)],
    csv="* reason",
    columns=(
        labels.VARIANT,
        labels.BACKEND,
        Column("from batch", "found", _open_interval),
        Column("sizes measured", "sizes", shared=True),
        _REMARK,
    ),
    notes=lambda _: [
        "95 % interval in brackets; between two sizes the log speedup is interpolated linearly in "
        "the log batch size"
    ],
    chart=Chart(_draw_crossover, **_SPANS),
)
DEVICE_BREAK_EVEN = Table(
    name="device_break_even",
    title="GPU break-even: steps that make up for its slower start",
    row=BreakEvenRow,
    rows=lambda analysis: [_break_even(m) for group in _on_gpu(analysis) for m in group],
    csv="* reason",
    columns=(
        labels.VARIANT,
        labels.BACKEND,
        labels.BATCH,
        Column("GPU ready (s)", "ready_s", units.digits, rank=1),
        Column("CPU ready (s)", "reference_ready_s", units.digits, rank=1),
        Column("steps", "found", _open_interval),
        Column("epochs", "pays_after_epochs", units.digits),
        _REMARK,
        Column("blocks", "blocks", rank=3),
    ),
    notes=lambda _: [
        "95 % interval in brackets; ready: from the start of a worker to the end of its first "
        "step, without the import of the framework"
    ],
    chart=Chart(_draw_break_even, **_SPANS),
)
