"""The table of measurements: one row per case, over all comparisons with the case."""

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence

from harness import units
from harness.analyze import published, rounds
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB, CaseData
from harness.analyze.cautions import Caution
from harness.analyze.devices import gpu
from harness.analyze.training import epochs
from harness.records import Case, Estimate, Failure, Gpu, ModelFacts
from harness.records.counters import COLUMNS
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, ends, grouped


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRow:
    """One case.

    Attributes:
        optimizer: Of the compiled model; of a failed case the one wanted.
        cpu_percent: 100 is one core that is busy all the time.
        busy: See `gpu.utilization_percent`; `power` is in watts.
        auxiliary: Whether the case exists only for a table of its own.
        failed: What a note says of a case that failed.
    """

    case: Case = columns(
        "case=id variant dataset batch_size device backend threads precision jit version"
    )
    optimizer: str | None
    status: str
    reason: str | None = None
    facts: ModelFacts | None = columns(
        "device_name float32_math parameters macs_per_sample macs_source"
    )
    steps_per_round: int | None = None
    rounds: int | None = None
    blocks: int | None = None
    step_us: Estimate | None = ends("step_us_low", "step_us_high")
    sample_us: float | None = None
    samples_per_s: float | None = None
    epoch_s: Estimate | None = ends("epoch_s_low", "epoch_s_high")
    epoch_s_source: str | None = None
    published_epoch_s: float | None = None
    input_share: float | None = None
    ready_s: float | None = None
    first_step_s: float | None = None
    import_rss_mib: float | None = None
    build_rss_mib: float | None = None
    peak_rss_mib: float | None = None
    gpu_memory_mib: float | None = None
    gpu_memory_source: str | None = None
    gpu_nvml_memory_mib: float | None = None
    cpu_percent: float | None = None
    busy: gpu.Known | None = columns("gpu_percent=value gpu_readings=readings")
    power: gpu.Known | None = columns("gpu_power_w=value gpu_power_source=source")
    joules_per_sample: float | None = None
    cpu_joules_per_sample: Estimate | None = None
    gpu_temperature_c: float | None = None
    gpu_sm_clock_mhz: float | None = None
    gpu_missing: tuple[str, ...] | None = None
    loss: float | None = None
    per_step: Mapping[str, float] = columns(" ".join(f"{name}_per_step={name}" for name in COLUMNS))
    auxiliary: bool | None = None
    cautions: tuple[Caution, ...] = ()
    failed: str | None = columns()


def _rows(analysis: Analysis) -> list[MeasuredRow]:
    found = {data.case.id: _measured(data, analysis) for data in analysis.cases}
    for outcome in analysis.run.outcomes:
        if isinstance(outcome, Failure):
            case = outcome.case
            reason = f"{outcome.kind}: {outcome.message}"
            if case != outcome.reference:
                reason = f"against {outcome.reference.id}: {reason}"
            row = found.get(case.id) or MeasuredRow(
                case=case, optimizer=case.optimizer, status=outcome.kind
            )
            reason = declare.SEPARATOR.join(filter(None, (row.reason, reason)))
            failed = f"{case.id}: {reason}"
            found[case.id] = dataclasses.replace(row, reason=reason, failed=failed)
    return list(found.values())


def _measured(data: CaseData, analysis: Analysis) -> MeasuredRow:
    case, facts, starts, step = data.case, data.facts, data.starts, data.step
    sample = step.value / case.batch_size
    fits = [start.fit for start in starts if start.fit]
    epoch = epochs.epoch(fits, step.value, case.batch_size, facts.train_samples)
    row = MeasuredRow(
        case=case,
        optimizer=facts.optimizer,
        status="measured",
        facts=facts,
        steps_per_round=min(data.steps),  # whatever the order of comparisons
        rounds=len(data.rounds),
        blocks=step.n,
        step_us=step.times(1e6),
        sample_us=sample * 1e6,
        samples_per_s=1 / sample,
        epoch_s=epoch.seconds,
        epoch_s_source=epoch.source,
        published_epoch_s=published.epoch_seconds(case, analysis.run),
        input_share=epoch.input_share,
        ready_s=statistics.median(start.ready_seconds for start in starts),
        first_step_s=statistics.median(start.first_step_seconds for start in starts),
        import_rss_mib=data.largest_mib("import_rss_bytes"),
        build_rss_mib=data.largest_mib("build_rss_bytes"),
        peak_rss_mib=data.largest_mib("peak_rss_bytes"),
        cpu_joules_per_sample=data.cpu_joules_per_sample,
        cpu_percent=100 * rounds.total(data.rounds, "cpu_seconds") / data.seconds,
        loss=statistics.median(block[-1].loss for block in data.blocks.values()),
        per_step={name: data.per_step(name) for name in COLUMNS},
        auxiliary=case in analysis.roles.auxiliary,
        cautions=tuple(data.cautions),
    )
    return _on_gpu(row, data, analysis.run.machine.gpu_facts) if case.device == "gpu" else row


def _on_gpu(row: MeasuredRow, data: CaseData, facts: Gpu | None) -> MeasuredRow:
    usages, device = data.usages, gpu.memory_bytes(data.usages)
    busy, power = gpu.utilization_percent(usages), gpu.power_watts(usages)
    if power.value is not None and (doubt := gpu.about_power(facts)):
        power = dataclasses.replace(power, source=f"{power.source}; {doubt}")
    allocator = data.largest_mib("gpu_memory_bytes")
    sources = dict.fromkeys(start.gpu_memory_source for start in data.starts)
    own = None if device.value is None else device.value / MIB
    missing = {
        "GPU %": None if busy.value is not None else busy.source,
        "GPU W": None if power.value is not None else power.source,
        "allocator's peak": None if allocator is not None else "; ".join(sources),
        "device memory": None if own is not None else device.source,
        **{name: f"NVML refuses it: {why}" for name, why in gpu.refused(usages).items()},
    }
    return dataclasses.replace(
        row,
        gpu_memory_mib=data.gpu_memory_mib,
        gpu_memory_source=device.source if allocator is None else "; ".join(sources),
        gpu_nvml_memory_mib=own,
        busy=busy,
        power=power,
        joules_per_sample=data.joules_per_sample,
        gpu_temperature_c=gpu.largest(usages, "temperature_celsius"),
        gpu_sm_clock_mhz=gpu.median(usages, "sm_clock_mhz"),
        gpu_missing=tuple(
            f"{', '.join(what for what, _ in items)}: {why}"
            for why, items in grouped(missing.items(), lambda item: item[1]).items()
            if why
        ),
    )


_EPOCH_MARKS = {
    "projected from fit": ("", "s/epoch: projected from a timed part of Model.fit"),
    "measured": (" m", "m: a whole epoch was measured"),
    "projected from steps": ("*", "*: projected from the step time, without what Model.fit adds"),
}


def _step(step_us: Estimate) -> str:
    interval = units.ends(step_us.low, step_us.high, 1e3)
    return units.digits(step_us.value / 1e3, 4) + interval


def _millijoules(joules: Estimate) -> str:
    return units.digits(1e3 * joules.value) + units.ends(joules.low, joules.high, 1e3)


def _epoch(row: MeasuredRow) -> str:
    if row.epoch_s is None or row.epoch_s_source is None:
        return units.MISSING
    interval = units.ends(row.epoch_s.low, row.epoch_s.high)
    return units.digits(row.epoch_s.value) + interval + _EPOCH_MARKS[row.epoch_s_source][0]


def _notes(rows: Sequence[MeasuredRow]) -> Iterator[str]:
    yield (
        "rows were measured at different moments: compare cases in the tables of speedups, not here"
    )
    sources = {row.epoch_s_source for row in rows}
    if marks := [note for source, (_, note) in _EPOCH_MARKS.items() if source in sources]:
        yield "; ".join(marks)
    if any(row.cpu_percent is not None for row in rows):
        yield "CPU %: 100 is one core"
    if any(row.published_epoch_s for row in rows):
        yield "published: s/epoch in the report that the variants come from, on another machine"
    yield from _gpu_notes([r for r in rows if r.case.device == "gpu" and r.status == "measured"])


def _gpu_notes(rows: Sequence[MeasuredRow]) -> Iterator[str]:
    memory = {row.gpu_memory_source for row in rows if row.gpu_memory_mib is not None}
    power = {r.power.source for r in rows if r.power and r.power.value is not None}
    for heading, sources in (("GPU MiB", memory), ("GPU W, GPU mJ/sample", power)):
        if known := sorted(filter(None, sources)):
            yield f"{heading}: {', '.join(known)}"
    if any(row.busy and row.busy.value is not None for row in rows):
        yield "GPU %: NVML's share of time with at least one kernel running; not efficiency"
    missing = dict.fromkeys(text for row in rows for text in row.gpu_missing or ())
    yield from (f"missing: {text}" for text in missing)


_OTHERS = ("device", "threads", "backend", "precision", "dataset")


def _answers(rows: Sequence[MeasuredRow]) -> bool:
    """Where batch sizes alone differ, their chart says the same; two bars are two numbers."""
    return len(rows) > 2 and bool(labels.differing(rows, ("variant", *_OTHERS)))


def _draw(rows: list[MeasuredRow], caption: str) -> drawing.Figure:
    """A point per case, the fastest first."""
    known = [(row.step_us.times(1 / row.case.batch_size), row) for row in rows if row.step_us]
    known.sort(key=lambda pair: pair[0].value)
    names, same = labels.names_of([row for _, row in known], ("variant", "batch_size"), _OTHERS)
    best, case = known[0][0], known[0][1].case
    title = f"Fastest: {case.variant} at batch {case.batch_size}"
    title += f", {units.digits(best.value)} µs per sample"
    subtitle = f"Time per sample with 95 % interval; {same}"
    height = 1.3 + 0.24 * max(5, len(known))
    figure, axes = drawing.single(title, subtitle, caption, height)
    drawing.horizontal(axes, names)
    for place, (time, row) in enumerate(known):
        color = drawing.BEST if place == 0 else drawing.COLORS[0]
        drawing.interval(axes, time, place, fmt="o", color=color)
        step = units.seconds(time.value * row.case.batch_size / 1e6)
        text = f"{units.digits(time.value)} µs ({step} per step)"
        drawing.beside(axes, text, drawing.reach([time])[1], place)
    low, high = drawing.reach(time for time, _ in known)
    span = max(high / low, 1.2)
    drawing.log_scale(axes, "x", low / span**0.04, low * span**1.35)
    axes.set_xlabel("µs per sample (log scale)")
    return figure


MEASUREMENTS = Table(
    name="measurements",
    title="Measurements",
    row=MeasuredRow,
    rows=_rows,
    selected=lambda rows: [row for row in rows if not row.auxiliary or row.reason],
    csv=(
        "case variant dataset batch_size device device_name backend threads optimizer precision "
        "float32_math jit version *"
    ),
    columns=(
        labels.VARIANT,
        labels.EACH_BATCH,
        Column("optimizer", "optimizer", numeric=False, rank=4),
        labels.DEVICE,
        labels.THREADS,
        Column("ms/step [95 %]", "step_us", _step),
        Column("µs/sample", "sample_us", units.digits, rank=1),
        Column("s/epoch [95 %]", _epoch, rank=2),
        Column("published", "published_epoch_s", units.digits, rank=4),
        Column("first step (s)", "first_step_s", units.digits, rank=5),
        Column("peak MiB", "peak_rss_mib", "{:.0f}".format, rank=3),
        Column("CPU %", "cpu_percent", "{:.0f}".format, rank=3),
        Column("GPU %", "busy.value", "{:.0f}".format, rank=2),
        Column("GPU MiB", "gpu_memory_mib", "{:.0f}".format, rank=3),
        Column("GPU W", "power.value", "{:.0f}".format, rank=4),
        Column("GPU mJ/sample", "joules_per_sample", lambda j: units.digits(1e3 * j), rank=3),
        Column("CPU mJ/sample [95 %]", "cpu_joules_per_sample", _millijoules, rank=3),
        *(
            Column[MeasuredRow](heading, f"per_step.{name}", units.digits, rank=6)
            for name, heading in COLUMNS.items()
        ),
        labels.BACKEND,
        Column("blocks", "blocks", rank=3),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (Limit(declare.MOST_BARS, "cases"),),
        shows=lambda row: row.step_us is not None and not row.auxiliary,
        answers=_answers,
    ),
)
