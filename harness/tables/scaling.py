"""The tables of several devices: what they bring, and a model of many devices."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze import levers, roles
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB
from harness.analyze.cautions import Caution
from harness.analyze.devices import scaling
from harness.analyze.levers import LossVerdict
from harness.analyze.verdicts import Verdict, judge
from harness.records import Estimate, Measurement
from harness.tables.declare import (
    MOST_BARS,
    MOST_LINES,
    Chart,
    Column,
    Limit,
    Table,
    common,
    differing,
    ends,
    given,
    lines_of,
    percent_of,
    speedup_of,
    words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = ("variant", "kind", "backend", "device", "measured_replicas")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRow:
    """A comparison of several devices with fewer.

    Attributes:
        kind: `strong`: both have the same batch; `weak`: each device has the same batch.
        reference: Devices of the reference.
        efficiency: Speedup per sample over the ratio of devices.
        functional: See `scaling.functional`.
        communication_share: Time of an all-reduce of arrays like the gradients, on its own, over
            the time per step: an upper bound where a framework overlaps both.
        loss_single: Loss of the reference.
    """

    case: str
    variant: str
    dataset: str
    backend: str
    device: str
    device_name: str
    threads: int
    kind: str
    replicas: int
    hosts: int
    batch_size: int
    batch_per_replica: int
    reference: int
    reference_batch_size: int
    speedup: Estimate = ends("low", "high")
    blocks: int
    verdict: Verdict | None
    efficiency: Estimate = ends("efficiency_low", "efficiency_high")
    functional: bool
    step_s: float
    allreduce_s: float | None
    allreduce_mib: float | None
    communication_share: float | None
    peak_rss_mib: float
    gpu_memory_mib: float | None
    memory_source: str
    loss: float | None
    loss_single: float | None
    loss_difference: Estimate | None = ends("loss_low", "loss_high")
    loss_verdict: LossVerdict | None
    early_steps: float | None
    cautions: tuple[Caution, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutlookRow:
    """A comparison projected to a number of devices; see `scaling.project`.

    Attributes:
        cost: Device time per sample over that of one device.
    """

    variant: str
    dataset: str
    backend: str
    device: str
    kind: str
    measured_replicas: int
    replicas: int
    batch_size: int
    compute_s: float
    allreduce_s: float
    step_s: float
    speedup: float
    efficiency: float
    cost: float
    device_hours_per_million: float
    functional: bool


def _rows(analysis: Analysis) -> list[ScalingRow]:
    return [_row(m, analysis) for m in scaling.compared(analysis)]


def _row(m: Measurement, analysis: Analysis) -> ScalingRow:
    case, judged, losses = m.case, judge(m, analysis), levers.losses(m, analysis.run)
    step, reduce = scaling.step_seconds(m, "case"), scaling.allreduce_seconds(m)
    gpu_bytes = [s.gpu_memory_bytes for s in m.starts if s.gpu_memory_bytes]
    return ScalingRow(
        case=case.id,
        variant=case.variant,
        dataset=case.dataset,
        backend=case.backend,
        device=case.device,
        device_name=m.facts.device_name,
        threads=case.threads,
        kind=str(roles.scaling_kind(case, m.reference)),
        replicas=case.replicas,
        hosts=case.hosts,
        batch_size=case.batch_size,
        batch_per_replica=case.batch_size // case.replicas,
        reference=m.reference.replicas,
        reference_batch_size=m.reference.batch_size,
        speedup=judged.speedup,
        blocks=judged.blocks,
        verdict=judged.verdict,
        efficiency=_over(judged.speedup, case.replicas / m.reference.replicas),
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
        loss=losses.case,
        loss_single=losses.reference,
        loss_difference=losses.difference,
        loss_verdict=losses.verdict,
        early_steps=losses.steps and float(losses.steps),
        cautions=tuple(analysis.roles.cautions(m)),
    )


def _over(speedup: Estimate, devices: float) -> Estimate:
    low, high = (None if end is None else end / devices for end in (speedup.low, speedup.high))
    return Estimate(speedup.value / devices, low, high, speedup.n)


def _outlook(analysis: Analysis) -> list[OutlookRow]:
    return [
        _projected(m, projection)
        for m in scaling.compared(analysis)
        for projection in scaling.projections(m)
    ]


def _projected(m: Measurement, found: scaling.Projection) -> OutlookRow:
    return OutlookRow(
        variant=m.case.variant,
        dataset=m.case.dataset,
        backend=m.case.backend,
        device=m.case.device,
        kind=str(roles.scaling_kind(m.case, m.reference)),
        measured_replicas=m.case.replicas,
        replicas=found.devices,
        batch_size=found.batch_size,
        compute_s=found.compute_seconds,
        allreduce_s=found.allreduce_seconds,
        step_s=found.step_seconds,
        speedup=found.speedup,
        efficiency=found.efficiency,
        cost=found.devices / found.speedup,
        device_hours_per_million=found.device_hours_per_million,
        functional=scaling.functional(m),
    )


def _verdict(row: ScalingRow) -> str:
    return "functional check" if row.functional else given(row.verdict)


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


def _draw(rows: list[ScalingRow], caption: str) -> "Figure":
    """Draw the efficiency, if the devices are real, and the share of communication."""
    from harness.tables import drawing

    real = [row for row in rows if not row.functional]
    size = (drawing.WIDTH, 1.8 + 0.5 * max(2, len(rows)))
    figure, (panels,) = drawing.grid(
        _title(rows, real), caption, columns=2 if real else 1, size=size
    )
    alike = common(rows, ("variant", "backend", "device"))
    if real:
        drawing.subtitled(panels[0], f"efficiency; {alike}")
        estimates = [None if row.functional else row.efficiency for row in rows]
        _bars(panels[0], rows, estimates, "functional check", 1.0)
        panels[0].axvline(1.0, color="black", linewidth=0.8, label="perfect scaling")
    drawing.subtitled(panels[-1], "all-reduce over step" + ("" if real else f"; {alike}"))
    shares = [row.communication_share for row in rows]
    times = [None if share is None else Estimate(share, None, None, 1) for share in shares]
    _bars(panels[-1], rows, times, "not timed")
    told = differing(rows, ("variant", "backend", "device"))
    panels[0].set_yticks(range(len(rows)), [_label(row, told) for row in rows])
    drawing.legend_below(figure, panels[0].get_legend_handles_labels()[0], columns=3)
    return figure


def _title(rows: Sequence[ScalingRow], real: Sequence[ScalingRow]) -> str:
    if real:
        values = [row.efficiency.value for row in real]
        span = " to ".join(dict.fromkeys(f"{100 * end:.0f}" for end in (min(values), max(values))))
        return f"Several devices are {span} % efficient"
    shares = [row.communication_share for row in rows if row.communication_share is not None]
    most = f"; an all-reduce takes up to {100 * max(shares):.1f} % of a step" if shares else ""
    return f"Functional check: several devices work{most}"


def _label(row: ScalingRow, told: Sequence[str]) -> str:

    hosts = f"{row.hosts} hosts" if row.hosts > 1 else ""
    parts = (words(row, told), f"{row.replicas} devices", hosts)
    return f"{', '.join(filter(None, parts))}\n{row.kind} scaling, batch {row.batch_size}"


def _bars(
    axes: "Axes",
    rows: Sequence[ScalingRow],
    shares: Sequence[Estimate | None],
    missing: str,
    beyond: float = 0.0,
) -> None:
    """Draw a bar per share in percent, its value right of `beyond`, or write what is missing."""
    from harness.tables import drawing

    drawing.horizontal(axes, [""] * len(rows))
    labels = set()
    for place, (row, share) in enumerate(zip(rows, shares, strict=True)):
        if share is None:
            drawing.beside(axes, missing, 0, place)
            continue
        color, hatch = ("#56B4E9", "") if row.kind == "strong" else ("#E69F00", "//")
        label = "_" if row.kind in labels else f"{row.kind} scaling"
        looks: Any = {"color": color, "hatch": hatch, **drawing.EDGE}
        axes.barh(place, share.value, 0.6, label=label, **looks)
        labels.add(row.kind)
        if share.low is not None:
            bar = drawing.arms([share])
            axes.errorbar(share.value, place, xerr=bar, fmt="none", color="black", capsize=3)
        end = max(beyond, drawing.reach([share])[1])
        drawing.beside(axes, f"{100 * share.value:.1f} %", end, place)
    axes.margins(x=0.25)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def _draw_outlook(rows: list[OutlookRow], caption: str) -> "Figure":
    """Draw the efficiency over the number of devices, a line per comparison."""
    from harness.tables import drawing

    most = max(row.replicas for row in rows)
    ends = [row.efficiency for row in rows if row.replicas == most]
    span = " to ".join(dict.fromkeys(f"{100 * end:.0f}" for end in (min(ends), max(ends))))
    always, sometimes = ("kind",), ("variant", "backend", "device", "measured_replicas")
    figure, axes = drawing.single(
        f"By the model, {most} devices are {span} % efficient",
        f"efficiency projected from few devices; {common(rows, sometimes[:3])}",
        caption,
    )
    for index, (label, its) in enumerate(lines_of(rows, always, sometimes)):
        axes.plot(
            [row.replicas for row in its],
            [row.efficiency for row in its],
            label=f"{label} scaling",
            **drawing.look(index),
        )
    drawing.batch_axis(axes, [row.replicas for row in rows])
    axes.set_xlabel("devices; the fewest were measured")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("efficiency")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    drawing.legend_below(figure)
    return figure


_VARIANT = Column[Any]("variant", lambda row: row.variant, numeric=False)
_BACKEND = Column[Any]("backend", lambda row: row.backend, numeric=False)
_DEVICE = Column[Any]("device", lambda row: row.device, numeric=False, shared=True)
_KIND = Column[Any]("scaling", lambda row: row.kind, numeric=False)
_REPLICAS = Column[Any]("devices", lambda row: str(row.replicas))
_BATCH = Column[Any]("batch", lambda row: str(row.batch_size))

SCALING = Table(
    name="scaling",
    title="Several devices against one, per sample",
    row=ScalingRow,
    rows=_rows,
    columns=(
        _VARIANT,
        _BACKEND,
        _DEVICE,
        _KIND,
        _REPLICAS,
        Column("hosts", lambda row: str(row.hosts), usual="1"),
        _BATCH,
        Column("reference", lambda row: f"{row.reference} at {row.reference_batch_size}"),
        Column("speedup [95 %]", lambda row: speedup_of(row.speedup)),
        Column("efficiency", lambda row: percent_of(row.efficiency)),
        Column("verdict", _verdict, numeric=False, rank=1),
        Column(
            "communication",
            lambda row: given(row.communication_share, lambda v: f"{100 * v:.1f} %"),
        ),
        Column(
            "change of loss",
            lambda row: given(row.loss_difference, lambda e: f"{100 * e.value:+.2g} %"),
            rank=1,
        ),
        Column("peak MiB", lambda row: f"{row.peak_rss_mib:.0f}", rank=2),
        Column("GPU MiB", lambda row: given(row.gpu_memory_mib, "{:.0f}".format), rank=2),
        Column("blocks", lambda row: str(row.blocks), rank=3),
    ),
    notes=_notes,
    chart=Chart(
        draw=_draw,
        limits=(Limit(MOST_BARS, "comparisons"),),
        answers=lambda rows: any(not r.functional or r.communication_share for r in rows),
    ),
)
SCALING_OUTLOOK = Table(
    name="scaling_outlook",
    title="Many devices, by a model of few",
    row=OutlookRow,
    rows=_outlook,
    columns=(
        _VARIANT,
        _BACKEND,
        _DEVICE,
        _KIND,
        Column("measured", lambda row: str(row.measured_replicas), shared=True),
        _REPLICAS,
        _BATCH,
        Column("compute", lambda row: units.seconds(row.compute_s), rank=1),
        Column("all-reduce", lambda row: units.seconds(row.allreduce_s), rank=1),
        Column("speedup", lambda row: units.ratio(row.speedup)),
        Column("efficiency", lambda row: f"{100 * row.efficiency:.0f} %"),
        Column("cost per sample", lambda row: units.ratio(row.cost)),
    ),
    notes=_outlook_notes,
    chart=Chart(
        draw=_draw_outlook,
        limits=(
            Limit(MOST_LINES, "lines", lambda row: tuple(getattr(row, name) for name in _LINE)),
        ),
    ),
)
