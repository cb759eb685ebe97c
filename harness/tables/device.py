"""When a GPU pays: batch size and steps; charts of its speedup and of its readings."""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze import roles, rounds, stats
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB, quotient
from harness.analyze.devices import crossover, gpu
from harness.records import Estimate, GpuUsage, Measurement
from harness.tables.declare import (
    MOST_BARS,
    MOST_LINES,
    Chart,
    Column,
    Limit,
    Table,
    common,
    differing,
    given,
    grouped,
    left_out_line,
    lines_of,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.tables.speedups import SpeedupRow

MOST_TIMELINES = 24  # files, one per case on a GPU


@dataclasses.dataclass(frozen=True, slots=True)
class CrossoverRow:
    """The batch size from which a model is as fast on the GPU as on the CPU.

    Attributes:
        low: End of the 95 % interval; None where it is open.
        sizes: The batch sizes that were measured.
        reason: Why a value or an end is missing.
    """

    variant: str
    backend: str
    threads: int
    device: str
    reference: str
    batch_size: float | None
    low: float | None
    high: float | None
    sizes: str
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class BreakEvenRow:
    """The steps and epochs after which the GPU has made up for its slower start.

    Attributes:
        ready_s: From the start of a worker to the end of its first step, median over blocks.
        low: End of the 95 % interval of the steps; None where it is open.
        reason: Why a value or an end is missing.
    """

    variant: str
    backend: str
    threads: int
    batch_size: int
    device: str
    reference: str
    ready_s: float
    reference_ready_s: float
    pays_after_steps: float | None
    low: float | None
    high: float | None
    pays_after_epochs: float | None
    blocks: int
    reason: str


def _on_gpu(analysis: Analysis) -> list[list[Measurement]]:
    """Group the GPU's comparisons that differ in batch size alone, in order of size."""
    its = [
        m
        for m in analysis.roles.measured
        if m.case.device == "gpu" and roles.differs_only_in("device", m.case, m.reference)
    ]
    alike = grouped(its, lambda m: dataclasses.replace(m.case, batch_size=0))
    return [sorted(group, key=lambda m: m.case.batch_size) for group in alike.values()]


def _crossover(measured: Sequence[Measurement]) -> CrossoverRow:
    case = measured[0].case
    found = crossover.batch_size([(m.case.batch_size, stats.speedup(m)) for m in measured])
    return CrossoverRow(
        variant=case.variant,
        backend=case.backend,
        threads=case.threads,
        device=case.device,
        reference=measured[0].reference.device,
        batch_size=found.value,
        low=found.low,
        high=found.high,
        sizes=",".join(str(m.case.batch_size) for m in measured),
        reason=found.reason,
    )


def _break_even(m: Measurement) -> BreakEvenRow:
    found, size = crossover.break_even_samples(m), m.case.batch_size
    steps, low, high = (quotient(n, size) for n in (found.value, found.low, found.high))
    ready = {
        role: statistics.median(s.ready_seconds for s in m.starts if s.role == role)
        for role in ("case", "reference")
    }
    return BreakEvenRow(
        variant=m.case.variant,
        backend=m.case.backend,
        threads=m.case.threads,
        batch_size=size,
        device=m.case.device,
        reference=m.reference.device,
        ready_s=ready["case"],
        reference_ready_s=ready["reference"],
        pays_after_steps=steps,
        low=low,
        high=high,
        pays_after_epochs=quotient(found.value, m.facts.train_samples),
        blocks=len(rounds.blocks(m)),
        reason=found.reason,
    )


def _open_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a count with its interval, of which an end may be missing."""
    if value is None:
        return units.MISSING
    if low is None and high is None:
        return _about(value)
    return f"{_about(value)} [{_about(low)}, {_about(high)}]"


def _about(value: float | None) -> str:
    return units.count(value) if value is None or value >= 100 else units.digits(value, 2)


def draw_speedup(rows: "list[SpeedupRow]", caption: str) -> "Figure":
    """Draw a line per variant over the batch sizes."""
    from harness.tables import drawing

    names = ", ".join(dict.fromkeys(row.device_name for row in rows))
    alike = common(rows, ("variant", "backend"))
    figure, axes = drawing.single(
        _speedup_title(rows), f"speedup per sample of {names} over the CPU; {alike}", caption
    )
    for index, (label, its) in enumerate(lines_of(rows, ("variant",), ("backend",))):
        places = [row.batch_size * 1.03**index for row in its]  # intervals side by side
        color = drawing.line(axes, index, places, [row.speedup for row in its], label)
        known = [(x, r.published) for x, r in zip(places, its, strict=True) if r.published]
        if known:
            name = f"{label}: published, on another machine"
            looks: Any = {"color": color, "markeredgecolor": "black", "label": name}
            axes.plot(*zip(*known, strict=True), "X", **looks)
    drawing.batch_axis(axes, [row.batch_size for row in rows])
    low, high = drawing.reach(row.speedup for row in rows)
    drawing.ratio_scale(axes, "y", 0.8 * min(1.0, low), 1.3 * max(1.0, high))
    axes.set_ylabel("speedup (log scale), with 95 % interval")
    drawing.legend_below(figure)
    return figure


def _speedup_title(rows: "Sequence[SpeedupRow]") -> str:
    span, _ = _range([row.speedup.value for row in rows], "")
    others = [row.batch_size for row in rows if row.verdict != "faster"]
    beyond = [row for row in rows if row.batch_size > max(others, default=math.inf)]
    if beyond:
        first = min(row.batch_size for row in beyond)
        times = _about(max(row.speedup.value for row in beyond))
        return f"The GPU is faster from batch {first} on, up to {times} times"
    if all(row.verdict == "slower" for row in rows):
        return "The GPU is slower than the CPU at every batch size"
    return f"The GPU is {span} times as fast as the CPU"


def _draw_crossover(rows: list[CrossoverRow], caption: str) -> "Figure":
    """Draw where each variant's speedup crosses 1, within the sizes measured."""
    from harness.tables import drawing

    where, some = _range([row.batch_size for row in rows], "models")
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
    rows = sorted(rows, key=lambda row: row.batch_size or math.inf)
    told = ["variant", *differing(rows, ("backend", "threads"))]
    labels = [words(row, told) for row in rows]
    _spans(axes, [(row.batch_size, row.low, row.high, row.reason) for row in rows], labels)
    return figure


def _draw_break_even(rows: list[BreakEvenRow], caption: str) -> "Figure":
    """Draw the steps until the GPU has made up for its start, a row per variant and batch size."""
    from harness.tables import drawing

    where, some = _range([row.pays_after_steps for row in rows], "cases")
    figure, axes = drawing.single(
        f"The GPU makes up for its slower start after {where} steps{some}",
        "training steps until the GPU is ahead of the CPU, with 95 % interval",
        caption,
        1.7 + 0.5 * len(rows),
    )
    rows = sorted(rows, key=lambda row: _or_last(row.pays_after_steps))
    told = ["variant", "batch_size", *differing(rows, ("backend", "threads"))]
    labels = [words(row, told) for row in rows]
    axes.set_xscale("symlog", linthresh=1)
    farthest = max(max(row.high or 0.0, row.pays_after_steps or 0.0) for row in rows)
    axes.set_xlim(0, max(10.0, 6 * farthest))
    axes.xaxis.set_major_formatter(lambda value, _: units.count(value))
    _spans(axes, [(r.pays_after_steps, r.low, r.high, r.reason) for r in rows], labels)
    axes.set_xlabel("training steps (log scale)")
    return figure


def _range(values: Sequence[float | None], what: str) -> tuple[str, str]:
    """Write the range of the known values, and how many there are unless all are known."""
    known = [value for value in values if value is not None]
    some = "" if len(known) == len(values) else f" ({len(known)} of {len(values)} {what})"
    return " to ".join(dict.fromkeys(map(_about, (min(known), max(known))))), some


def _or_last(value: float | None) -> float:
    return math.inf if value is None else value


def _spans(
    axes: "Axes",
    found: Sequence[tuple[float | None, float | None, float | None, str]],
    labels: Sequence[str],
) -> None:
    """Draw a value with its interval per row, and the reason where either is missing."""
    from harness.tables import drawing

    drawing.horizontal(axes, labels)
    for place, (value, low, high, reason) in enumerate(found):
        if value is None:
            drawing.beside(axes, reason, axes.get_xlim()[0], place)
            continue
        ends = [value if end is None else end for end in (low, high)]
        axes.plot(ends, [place] * 2, color=drawing.COLORS[0], linewidth=3, solid_capstyle="butt")
        axes.plot(value, place, "o", color="black", zorder=4)
        note = "  ".join(filter(None, (_about(value), reason)))
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


def timelines(analysis: Analysis, caption: str) -> Iterator[tuple[str, "Figure"]]:
    """Draw the readings of the GPU during the rounds of each case, by the name `gpu_CASE`."""
    read = [(data.case.id, usages) for data in analysis.cases if (usages := _read(data.usages))]
    caption = "; ".join((caption, *timelines_left_out(len(read))))
    for case, usages in read[:MOST_TIMELINES]:
        yield f"gpu_{case}", _timeline(case, usages, caption)


def timelines_left_out(cases: int) -> list[str]:
    """Write a line on the cases whose readings have no chart, if there are any."""
    left = cases - MOST_TIMELINES
    return [left_out_line(left, cases, "cases", "the first ones", "run.json")] if left > 0 else []


def _read(usages: Sequence[GpuUsage]) -> list[GpuUsage]:
    return [usage for usage in usages if usage.trace.seconds]


def _timeline(case: str, usages: Sequence[GpuUsage], caption: str) -> "Figure":
    """Draw a panel per reading, a line per worker."""
    from harness.tables import drawing

    known = [
        (name, label, size)
        for name, label, size in _READINGS
        if any(value is not None for usage in usages for value in getattr(usage.trace, name))
    ]
    busy, power = gpu.utilization_percent(usages).value, gpu.power_watts(usages).value
    finding = "" if busy is None else f" was busy {busy:.0f} % of the time"
    finding += "" if power is None else f"{' and' if finding else ''} used {power:.0f} W"
    figure, panels = drawing.grid(
        f"The GPU{finding}" if finding else "Readings of the GPU",
        caption,
        rows=max(1, len(known)),
        size=(drawing.WIDTH, 1.2 + 1.2 * max(1, len(known))),
        share="col",
    )
    drawing.subtitled(panels[0][0], f"while {case} trained; a line per worker")
    for (axes,), (name, label, size) in zip(panels, known, strict=False):
        for index, usage in enumerate(usages):
            values = [v if v is None else v / size for v in getattr(usage.trace, name)]
            axes.plot(
                usage.trace.seconds,
                [math.nan if value is None else value for value in values],
                label=f"worker {index + 1}",
                **drawing.look(index) | {"marker": "", "linewidth": 1},
            )
        axes.set_ylabel(label, fontsize=8)
        axes.set_ylim(bottom=0)
        axes.margins(y=0.15)
    panels[-1][0].set_xlabel("seconds since the rounds of a worker began")
    if known:
        drawing.legend_below(figure, panels[0][0].get_legend_handles_labels()[0], columns=6)
    return figure


def _size(speedup: Estimate) -> float:
    return math.log(speedup.value)


SPEEDUP_CHART: "Chart[SpeedupRow]" = Chart(
    draw=draw_speedup,
    limits=(
        Limit(MOST_LINES, "lines", lambda r: (r.variant, r.backend), lambda r: _size(r.speedup)),
    ),
    shows=lambda row: row.device == "gpu" and row.reference == "cpu",
)
_VARIANT = Column[Any]("variant", lambda row: row.variant, numeric=False)
_BACKEND = Column[Any](
    "backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"
)
_REMARK = Column[Any]("remark", lambda row: row.reason or units.MISSING, numeric=False)

DEVICE_CROSSOVER = Table(
    name="device_crossover",
    title="Batch size from which the GPU is as fast as the CPU",
    row=CrossoverRow,
    rows=lambda analysis: [_crossover(group) for group in _on_gpu(analysis)],
    columns=(
        _VARIANT,
        _BACKEND,
        Column("from batch", lambda row: _open_interval(row.batch_size, row.low, row.high)),
        Column("sizes measured", lambda row: row.sizes, shared=True),
        _REMARK,
    ),
    notes=lambda _: [
        "95 % interval in brackets; between two sizes the log speedup is interpolated linearly in "
        "the log batch size"
    ],
    chart=Chart(
        draw=_draw_crossover,
        limits=(Limit(MOST_BARS, "rows"),),
        answers=lambda rows: any(row.batch_size is not None for row in rows),
    ),
)
DEVICE_BREAK_EVEN = Table(
    name="device_break_even",
    title="GPU break-even: steps that make up for its slower start",
    row=BreakEvenRow,
    rows=lambda analysis: [_break_even(m) for group in _on_gpu(analysis) for m in group],
    columns=(
        _VARIANT,
        _BACKEND,
        Column("batch", lambda row: str(row.batch_size), shared=True),
        Column("GPU ready (s)", lambda row: units.digits(row.ready_s), rank=1),
        Column("CPU ready (s)", lambda row: units.digits(row.reference_ready_s), rank=1),
        Column("steps", lambda row: _open_interval(row.pays_after_steps, row.low, row.high)),
        Column("epochs", lambda row: given(row.pays_after_epochs, units.digits)),
        _REMARK,
        Column("blocks", lambda row: str(row.blocks), rank=3),
    ),
    notes=lambda _: [
        "95 % interval in brackets; ready: from the start of a worker to the end of its first "
        "step, without the import of the framework"
    ],
    chart=Chart(
        draw=_draw_break_even,
        limits=(Limit(MOST_BARS, "rows"),),
        answers=lambda rows: any(row.pays_after_steps is not None for row in rows),
    ),
)
