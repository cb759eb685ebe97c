"""The tables of several devices: what they bring, and a model of many devices."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from harness import units
from harness.analyze import levers, roles
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB
from harness.analyze.cautions import Caution
from harness.analyze.devices import scaling
from harness.analyze.levers import Losses
from harness.analyze.verdicts import Judged, judge
from harness.records import Case, Estimate, Measurement
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, ends

_PLACE = ("variant", "backend", "device")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRow:
    """A comparison of several devices with fewer.

    Attributes:
        kind: `strong`: both have the same batch; `weak`: each device has the same batch.
        efficiency: Speedup per sample over the ratio of devices.
        functional: See `scaling.functional`.
        communication_share: Time of an all-reduce of arrays like the gradients, on its own, over
            the time per step: an upper bound where a framework overlaps both.
    """

    case: Case = columns("case=id variant dataset backend device threads replicas hosts batch_size")
    device_name: str
    kind: str
    batch_per_replica: int
    reference: Case = columns("reference=replicas reference_batch_size=batch_size")
    judged: Judged = columns(f"{declare.RATIO} blocks verdict")
    efficiency: Estimate = ends("efficiency_low", "efficiency_high")
    functional: bool
    step_s: float
    allreduce_s: float | None
    allreduce_mib: float | None
    communication_share: float | None
    peak_rss_mib: float
    gpu_memory_mib: float | None
    memory_source: str
    losses: Losses = columns(f"loss=case loss_single=reference {declare.LOSS}")
    early_steps: float | None
    cautions: tuple[Caution, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutlookRow:
    """A comparison projected to a number of devices; see `scaling.project`."""

    case: Case = columns("variant dataset backend device measured_replicas=replicas")
    kind: str
    found: scaling.Projection = columns(
        "replicas=devices batch_size compute_s=compute_seconds allreduce_s=allreduce_seconds "
        "step_s=step_seconds speedup efficiency cost device_hours_per_million"
    )
    functional: bool


def _row(m: Measurement, analysis: Analysis) -> ScalingRow:
    case, judged, losses = m.case, judge(m, analysis), levers.losses(m, analysis.run)
    step, reduce = scaling.step_seconds(m, "case"), scaling.allreduce_seconds(m)
    gpu_bytes = [s.gpu_memory_bytes for s in m.starts if s.gpu_memory_bytes]
    return ScalingRow(
        case=case,
        device_name=m.facts.device_name,
        kind=str(roles.scaling_kind(case, m.reference)),
        batch_per_replica=case.batch_size // case.replicas,
        reference=m.reference,
        judged=judged,
        efficiency=judged.speedup.mapped(lambda v: v / (case.replicas / m.reference.replicas)),
        functional=scaling.functional(m),
        step_s=step,
        allreduce_s=reduce,
        allreduce_mib=next((s.allreduce_bytes / MIB for s in m.starts if s.allreduce_bytes), None),
        communication_share=reduce and reduce / step,
        peak_rss_mib=levers.peak_mib(m, "case"),
        gpu_memory_mib=max(gpu_bytes) / MIB if gpu_bytes else None,
        memory_source="the whole process: logical devices share its memory"
        if case.device == "cpu"
        else "the first GPU, allocator peak",
        losses=losses,
        early_steps=losses.steps and float(losses.steps),
        cautions=tuple(analysis.roles.cautions(m)),
    )


def _outlook(analysis: Analysis) -> list[OutlookRow]:
    return [
        OutlookRow(
            case=m.case,
            kind=str(roles.scaling_kind(m.case, m.reference)),
            found=projection,
            functional=scaling.functional(m),
        )
        for m in scaling.compared(analysis)
        for projection in scaling.projections(m)
    ]


def _verdict(row: ScalingRow) -> str | None:
    return "functional check" if row.functional else row.judged.verdict


def _notes(rows: Sequence[ScalingRow]) -> Iterator[str]:
    if any(row.functional for row in rows):
        yield (
            "functional check: the devices are logical ones of one CPU, or processes on one "
            "machine, and share its cores; scaling works, its speed was not measured"
        )
    yield "efficiency: speedup over the number of devices"
    yield (
        "communication: an all-reduce of arrays like the gradients, on its own, over a step; an "
        "upper bound where a framework overlaps both"
    )
    steps = sorted({int(row.early_steps) for row in rows if row.early_steps is not None})
    if steps:
        yield (
            f"loss: change after {' or '.join(map(str, steps))} steps from the same weights and "
            "batches, against one device"
        )
    for source in dict.fromkeys(row.memory_source for row in rows):
        yield f"memory: {source}"


def _outlook_notes(rows: Sequence[OutlookRow]) -> Iterator[str]:
    yield (
        "a model, not a measurement: step = compute + bandwidth-bound ring all-reduce; no overlap, "
        "no latency, no slower links between racks, no waiting for the slowest device"
    )
    yield "cost per sample: device time over that of one device"
    if any(row.functional for row in rows):
        yield "measured between processes of one machine, which share its cores and memory"


def _draw(rows: list[ScalingRow], caption: str) -> drawing.Figure:
    """Draw the efficiency, if the devices are real, and the share of communication."""
    real = [row for row in rows if not row.functional]
    size = (drawing.WIDTH, 1.8 + 0.5 * max(2, len(rows)))
    figure, (panels,) = drawing.grid(
        _title(rows, real), caption, columns=2 if real else 1, size=size
    )
    alike = labels.common(rows, _PLACE)
    if real:
        drawing.subtitled(panels[0], f"efficiency; {alike}")
        estimates = [None if row.functional else row.efficiency for row in rows]
        _bars(panels[0], rows, estimates, "functional check", 1.0)
        panels[0].axvline(1.0, color="black", linewidth=0.8, label="perfect scaling")
    drawing.subtitled(panels[-1], "all-reduce over step" + ("" if real else f"; {alike}"))
    shares = [row.communication_share for row in rows]
    times = [None if share is None else Estimate(share, None, None, 1) for share in shares]
    _bars(panels[-1], rows, times, "not timed")
    told = labels.differing(rows, _PLACE)
    panels[0].set_yticks(range(len(rows)), [_label(row, told) for row in rows])
    drawing.legend_below(figure, panels[0].get_legend_handles_labels()[0], columns=3)
    return figure


def _title(rows: Sequence[ScalingRow], real: Sequence[ScalingRow]) -> str:
    if real:
        return f"Several devices are {_percent(row.efficiency.value for row in real)} efficient"
    shares = [row.communication_share for row in rows if row.communication_share is not None]
    most = f"; an all-reduce takes up to {100 * max(shares):.1f} % of a step" if shares else ""
    return f"Functional check: several devices work{most}"


def _percent(shares: Iterable[float]) -> str:
    return declare.span(shares, lambda share: f"{100 * share:.0f}") + " %"


def _label(row: ScalingRow, told: Sequence[str]) -> str:
    hosts = f"{row.case.hosts} hosts" if row.case.hosts > 1 else ""
    parts = (labels.words(row, told), f"{row.case.replicas} devices", hosts)
    return f"{', '.join(filter(None, parts))}\n{row.kind} scaling, batch {row.case.batch_size}"


def _bars(
    axes: drawing.Axes,
    rows: Sequence[ScalingRow],
    shares: Sequence[Estimate | None],
    missing: str,
    beyond: float = 0.0,
) -> None:
    """Draw a bar per share in percent, its value right of `beyond`, or write what is missing."""
    drawing.horizontal(axes, [""] * len(rows))
    named = set()
    for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
        if share is None:
            drawing.beside(axes, missing, 0, place)
            continue
        color, hatch = ("#56B4E9", "") if row.kind == "strong" else ("#E69F00", "//")
        label = "_" if row.kind in named else f"{row.kind} scaling"
        named.add(row.kind)
        drawing.bar(axes, place, share, color=color, hatch=hatch, label=label)
        end = max(beyond, drawing.reach([share])[1])
        drawing.beside(axes, f"{100 * share.value:.1f} %", end, place)
    axes.margins(x=0.25)
    drawing.percent_axis(axes.xaxis)


def _draw_outlook(rows: list[OutlookRow], caption: str) -> drawing.Figure:
    """Draw the efficiency over the number of devices, a line per comparison."""
    most = max(row.found.devices for row in rows)
    ends = (row.found.efficiency for row in rows if row.found.devices == most)
    figure, axes = drawing.single(
        f"By the model, {most} devices are {_percent(ends)} efficient",
        f"efficiency projected from few devices; {labels.common(rows, _PLACE)}",
        caption,
    )
    lines = labels.lines_of(rows, ("kind",), (*_PLACE, "case.replicas"))
    for index, label, its in lines:
        devices, shares = zip(*((r.found.devices, r.found.efficiency) for r in its), strict=True)
        axes.plot(devices, shares, label=f"{label} scaling", **drawing.look(index))
    drawing.batch_axis(axes, [row.found.devices for row in rows])
    axes.set_xlabel("devices; the fewest were measured")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("efficiency")
    drawing.percent_axis(axes.yaxis)
    drawing.legend_below(figure)
    return figure


_WHERE = (
    labels.VARIANT,
    Column[Any]("backend", "backend", numeric=False),
    labels.DEVICE,
    Column[Any]("scaling", "kind", numeric=False),
)

SCALING = Table(
    name="scaling",
    title="Several devices against one, per sample",
    row=ScalingRow,
    rows=lambda analysis: [_row(m, analysis) for m in scaling.compared(analysis)],
    csv="case variant dataset backend device device_name threads kind replicas hosts batch_size *",
    columns=(
        *_WHERE,
        Column("devices", "replicas"),
        Column("hosts", "hosts", usual="1"),
        labels.EACH_BATCH,
        Column("reference", lambda r: f"{r.reference.replicas} at {r.reference.batch_size}"),
        Column("speedup [95 %]", "judged.speedup", declare.speedup_of),
        declare.energy_column(),
        Column("efficiency", "efficiency", declare.percent_of),
        Column("verdict", _verdict, numeric=False, rank=1),
        Column("communication", "communication_share", lambda share: f"{100 * share:.1f} %"),
        Column("change of loss", "losses.difference.value", lambda v: f"{100 * v:+.2g} %", rank=1),
        Column("peak MiB", "peak_rss_mib", "{:.0f}".format, rank=2),
        Column("GPU MiB", "gpu_memory_mib", "{:.0f}".format, rank=2),
        Column("blocks", "judged.blocks", rank=3),
    ),
    notes=_notes,
    chart=Chart(
        draw=_draw,
        limits=(Limit(declare.MOST_BARS, "comparisons"),),
        answers=lambda rows: any(not r.functional or r.communication_share for r in rows),
    ),
)
SCALING_OUTLOOK = Table(
    name="scaling_outlook",
    title="Many devices, by a model of few",
    row=OutlookRow,
    rows=_outlook,
    csv="variant dataset backend device kind *",
    columns=(
        *_WHERE,
        Column("measured", "case.replicas", shared=True),
        Column("devices", "found.devices"),
        Column("batch", "found.batch_size"),
        Column("compute", "found.compute_seconds", units.seconds, rank=1),
        Column("all-reduce", "found.allreduce_seconds", units.seconds, rank=1),
        Column("speedup", "found.speedup", units.ratio),
        Column("efficiency", "found.efficiency", declare.share_of),
        Column("cost per sample", "found.cost", units.ratio),
    ),
    notes=_outlook_notes,
    chart=Chart(
        draw=_draw_outlook,
        limits=(Limit(declare.MOST_LINES, "lines", ("kind", *_PLACE, "case.replicas")),),
    ),
)
