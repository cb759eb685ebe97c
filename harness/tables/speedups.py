"""The tables of speedups along one axis: batch size, model, device, backend, threads."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness import units
from harness.analyze.advice.advise import advise
from harness.analyze.analysis import Analysis
from harness.analyze.cases import quotient
from harness.analyze.cautions import Caution
from harness.analyze.once import once
from harness.analyze.training import epochs
from harness.analyze.verdicts import Judged, judge
from harness.records import Case, Estimate, Measurement, ModelFacts
from harness.tables import declare, device, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, ends
from harness.tables.text import judged_notes, verdict_of

# Columns of the CSV files.
_CASE = "variant backend device batch_size reference"
_SIZE = "parameters macs_per_sample macs_source parameter_ratio mac_ratio"
_DEVICES = "variant backend threads batch_size device device_name reference reference_name"
_EPOCH = "epoch_speedup epoch_low epoch_high"
_BACKENDS = "variant device batch_size backend jit reference reference_jit"
_THREADS = "variant backend batch_size threads reference"
_JUDGED = f"blocks verdict smallest_visible noise_floor {declare.ENERGY}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpeedupRow:
    """One comparison along an axis; each table's CSV file has the columns that it names.

    Attributes:
        reference: The reference's value of the axis.
        efficiency: Speedup over the ratio of threads.
        samples_per_s: The reference's times the speedup, since only paired rounds compare.
    """

    case: Case = columns("variant backend device threads batch_size jit")
    reference: str
    reference_jit: bool
    facts: ModelFacts = columns("device_name parameters macs_per_sample macs_source")
    reference_name: str
    parameter_ratio: float
    mac_ratio: float | None
    judged: Judged = columns(f"{declare.JUDGED} noise_floor published")
    epoch_speedup: Estimate | None = ends("epoch_low", "epoch_high")
    efficiency: float
    cautions: tuple[Caution, ...]
    recommended: bool
    samples_per_s: float
    peak_mib: float | None


def _row(m: Measurement, axis: str, analysis: Analysis) -> SpeedupRow:
    case, reference, facts, other = m.case, m.reference, m.facts, m.reference_facts
    judged = judge(m, analysis)
    rate = reference.batch_size / analysis.observed[reference].step.value
    return SpeedupRow(
        case=case,
        reference=str(getattr(reference, axis)),
        reference_jit=reference.jit,
        facts=facts,
        reference_name=other.device_name,
        parameter_ratio=other.parameters / facts.parameters,
        mac_ratio=quotient(other.macs_per_sample, facts.macs_per_sample),
        judged=judged,
        epoch_speedup=epochs.speedup(m),
        efficiency=judged.speedup.value / (case.threads / reference.threads),
        cautions=tuple(analysis.roles.doubts(m)),
        recommended=case in _recommended_sizes(analysis),
        samples_per_s=rate * judged.speedup.value,
        peak_mib=analysis.observed[case].largest_mib("peak_rss_bytes"),
    )


@once
def _recommended_sizes(analysis: Analysis) -> set[Case]:
    choices = [choice for advice in advise(analysis) for choice in advice.asked]
    return {c.case for c in choices if c.axis == "batch_size" and c.value is not None}


def _rows(axis: str) -> Callable[[Analysis], list[SpeedupRow]]:
    def rows(analysis: Analysis) -> list[SpeedupRow]:
        found = [_row(m, axis, analysis) for m in analysis.roles.compared(axis)]
        last = axis if axis in {"threads", "device", "backend"} else "variant"
        return sorted(found, key=declare.key_of("variant", "batch_size", last))

    return rows


def _notes(axis: str) -> Callable[[Sequence[SpeedupRow]], Iterator[str]]:
    def name(row: SpeedupRow) -> str:
        values = declare.key_of("variant", "batch_size", axis)(row)
        return ", ".join(dict.fromkeys(map(str, values)))

    def notes(rows: Sequence[SpeedupRow]) -> Iterator[str]:
        if axis == "variant":
            yield from labels.macs_sources(r for r in rows if r.facts.macs_per_sample is None)
        yield from judged_notes(rows, name)

    return notes


def _effect(row: SpeedupRow) -> float:
    return math.log(row.judged.speedup.value)


def _bars(
    axis: str, over: str, mark: str = ""
) -> Callable[[list[SpeedupRow], str], drawing.Figure]:
    """Draw a bar per comparison, the fastest first; `over` is the reference in words."""

    def draw(rows: list[SpeedupRow], caption: str) -> drawing.Figure:
        rows = sorted(rows, key=lambda row: -row.judged.speedup.value)
        fields = [f for f in ("variant", "batch_size", "device", "backend", "threads") if f != axis]
        always = [axis, *(f for f in labels.differing(rows, ("variant",)) if f != axis)]
        names, same = labels.names_of(rows, always, [f for f in fields if f not in always])
        references = list(dict.fromkeys(row.reference for row in rows))
        bars = [
            drawing.Bar(
                name
                + (" (jit)" if axis == "backend" and row.case.jit else "")
                + (f"\nover {row.reference}" if len(references) > 1 else ""),
                row.judged.speedup,
                row.judged.verdict,
                mark=_mark(row, axis),
            )
            for name, row in zip(names, rows, strict=True)
        ]
        doubts = dict.fromkeys(str(caution.doubt) for row in rows for caution in row.cautions)
        reference = over.format(references[0]) if len(references) == 1 else "its reference"
        return drawing.speedup_bars(
            bars,
            _largest(rows, axis, reference),
            f"Speedup over {reference}; {same}",
            "; ".join((caption, *(f"caution: {doubt}" for doubt in doubts))),
            mark=mark,
        )

    return draw


def _mark(row: SpeedupRow, axis: str) -> float | None:
    """Return what the speedup would be if threads, or arithmetic, were all."""
    if axis == "threads":
        return row.judged.speedup.value / row.efficiency
    return row.mac_ratio if axis == "variant" else None


def _largest(rows: Sequence[SpeedupRow], axis: str, reference: str) -> str:
    shown = [row for row in rows if row.judged.verdict in ("faster", "slower", None)]
    if not shown:
        return f"Nothing is shown to be faster or slower than {reference}"
    row = max(shown, key=lambda row: abs(_effect(row)))
    return drawing.times(labels.words(row, (axis,)), row.judged.speedup.value, reference)


def _by_batch_size(rows: list[SpeedupRow], caption: str) -> drawing.Figure:
    """A line per variant and device over the batch sizes; what is recommended is marked."""
    by = ("device", "backend", "threads")
    references = list(dict.fromkeys(row.reference for row in rows))
    subtitle = f"Speedup per sample over batch {' or '.join(references)}, with 95 % interval"
    figure, axes = drawing.single(
        _enough(rows), f"{subtitle}; {labels.common(rows, ('variant', *by))}", caption, 4.4
    )
    lines = list(labels.lines_of(rows, ("variant",), by))
    for index, label, its in lines:
        size = int(its[0].reference)
        points = {size: Estimate(1.0, None, None, 0)}
        points |= {row.case.batch_size: row.judged.speedup for row in its}
        shift = 1.03**index  # so that no interval covers another
        places, found = zip(*sorted(points.items()), strict=True)
        color = drawing.line(axes, index, [place * shift for place in places], found, label)
        hollow: Any = {"color": color, "markerfacecolor": "white", "zorder": 4}
        axes.plot(size * shift, points[size].value, "o", **hollow)
        for row in filter(lambda row: row.recommended, its):
            at = row.case.batch_size * shift
            axes.plot(at, row.judged.speedup.value, "o", color=drawing.BEST, **_RING)
    low, high = drawing.reach(row.judged.speedup for row in rows)
    low, high = min(low, 1 / 1.1), max(high, 1.1)  # small differences must look small
    drawing.ratio_scale(axes, "y", 0.96 * low, 1.04 * high)
    drawing.batch_axis(axes, [s for row in rows for s in (row.case.batch_size, int(row.reference))])
    axes.set_ylabel("speedup per sample (log scale)")
    if any(row.recommended for row in rows):
        axes.plot([], [], "o", color=drawing.BEST, label="recommended", **_RING)
    if len(lines) == 1:
        best = max(row.judged.speedup.value for row in rows)
        axes.axhspan(0.95 * best, best, color="#eeeeee", zorder=0, label="within 5 % of the best")
        drawing.second_scale(axes, rows[0].samples_per_s / rows[0].judged.speedup.value)
    drawing.legend_below(figure, columns=4)
    return figure


_RING: dict[str, Any] = {"markersize": 14, "markerfacecolor": "none"}


def _enough(rows: Sequence[SpeedupRow]) -> str:
    """Say which batch size is recommended."""
    found = [row.case for row in rows if row.recommended]
    if not found:
        return "No batch size can be recommended yet"
    if len(found) > 1 or len({row.case.variant for row in rows}) > 1:
        where = labels.place_of(rows)
        sizes = (
            f"batch {row.case.batch_size} for {row.case.variant}{where(row)}"
            for row in rows
            if row.recommended
        )
        return f"Recommended: {'; '.join(sizes)}"
    size = found[0].batch_size
    if any(row.case.batch_size > size for row in rows):
        return f"Batch {size} is enough: no larger one is more than 5 % faster"
    return f"Batch {size} is recommended; larger ones were not measured"


def _by_device(rows: list[SpeedupRow], caption: str) -> drawing.Figure:
    """Draw a line per variant over the batch sizes."""
    names = ", ".join(dict.fromkeys(row.facts.device_name for row in rows))
    alike = labels.common(rows, ("variant", "backend"))
    figure, axes = drawing.single(
        _from_batch(rows), f"speedup per sample of {names} over the CPU; {alike}", caption
    )
    for index, label, its in labels.lines_of(rows, ("variant",), ("backend",)):
        places = [row.case.batch_size * 1.03**index for row in its]  # intervals side by side
        color = drawing.line(axes, index, places, [row.judged.speedup for row in its], label)
        both = zip(places, (row.judged.published for row in its), strict=True)
        if known := [(place, published) for place, published in both if published]:
            name = f"{label}: published, on another machine"
            looks: Any = {"color": color, "markeredgecolor": "black", "label": name}
            axes.plot(*zip(*known, strict=True), "X", **looks)
    drawing.batch_axis(axes, [row.case.batch_size for row in rows])
    low, high = drawing.reach(row.judged.speedup for row in rows)
    drawing.ratio_scale(axes, "y", 0.8 * min(1.0, low), 1.3 * max(1.0, high))
    axes.set_ylabel("speedup (log scale), with 95 % interval")
    drawing.legend_below(figure)
    return figure


def _from_batch(rows: Sequence[SpeedupRow]) -> str:
    others = [row.case.batch_size for row in rows if row.judged.verdict != "faster"]
    beyond = [row for row in rows if row.case.batch_size > max(others, default=math.inf)]
    if beyond:
        first = min(row.case.batch_size for row in beyond)
        times = device.about(max(row.judged.speedup.value for row in beyond))
        return f"The GPU is faster from batch {first} on, up to {times} times"
    if all(row.judged.verdict == "slower" for row in rows):
        return "The GPU is slower than the CPU at every batch size"
    span = declare.span((row.judged.speedup.value for row in rows), device.about)
    return f"The GPU is {span} times as fast as the CPU"


_SPEEDUP = Column[SpeedupRow]("speedup [95 %]", "judged.speedup", declare.speedup_of)
_VERDICT = Column[SpeedupRow](
    "verdict",
    verdict_of,
    numeric=False,
    verdict=lambda row: None if row.judged.noise_floor else row.judged.verdict,
)
_BLOCKS = Column[SpeedupRow]("blocks", "judged.blocks", rank=3)

_LAST = (Column[SpeedupRow]("published", "judged.published", units.ratio, rank=2), _BLOCKS)
_BARS: dict[str, Any] = {  # of one bar there is no chart: one bar is one number
    "limits": (Limit[SpeedupRow](declare.MOST_BARS, "comparisons", effect=_effect),),
    "shows": lambda row: not row.judged.noise_floor,
    "answers": lambda rows: len(rows) > 1,
}


def _table(name: str, axis: str, title: str, csv: str, **more: Any) -> Table[SpeedupRow]:
    """Declare the table of the comparisons along an axis."""
    rows, notes = _rows(axis), _notes(axis)
    return Table(name=name, title=title, row=SpeedupRow, rows=rows, csv=csv, notes=notes, **more)


BATCH_SIZE_SPEEDUP = _table(
    "batch_size_speedup",
    "batch_size",
    "Speedup by batch size, per sample",
    f"{_CASE} speedup low high {_JUDGED} published cautions",
    columns=(
        *labels.COMPARED,
        _SPEEDUP,
        declare.energy_column(),
        _VERDICT,
        Column("advice", lambda r: "← recommended" if r.recommended else None, numeric=False),
        Column("samples/s", "samples_per_s", units.digits, rank=1),
        Column("peak MiB", "peak_mib", "{:.0f}".format, rank=2),
        *_LAST,
    ),
    chart=Chart(
        _by_batch_size,
        (Limit(declare.MOST_LINES, "lines", ("variant", "device", "backend"), _effect),),
    ),
)
MODEL_SIZE_SPEEDUP = _table(
    "model_size_speedup",
    "variant",
    "Speedup by model, per sample, at the same batch size",
    f"{_CASE} {_SIZE} speedup low high {_JUDGED} published cautions",
    columns=(
        *labels.COMPARED,
        Column("fewer params", "parameter_ratio", units.ratio),
        Column("fewer MACs", "mac_ratio", units.ratio),
        _SPEEDUP,
        declare.energy_column(),
        _VERDICT,
        *_LAST,
    ),
    chart=Chart(_bars("variant", "{}", "speedup if arithmetic alone decided"), **_BARS),
)
DEVICE_SPEEDUP = _table(
    "device_speedup",
    "device",
    "Speedup by device, per sample",
    f"{_DEVICES} speedup low high {_JUDGED} {_EPOCH} published cautions",
    columns=(
        labels.VARIANT,
        labels.BACKEND,
        labels.BATCH,
        Column("device", "facts.device_name", numeric=False, shared=True),
        labels.REFERENCE,
        _SPEEDUP,
        declare.energy_column(),
        _VERDICT,
        Column("epoch speedup", "epoch_speedup", declare.speedup_of, rank=3),
        *_LAST,
    ),
    chart=Chart(
        _by_device,
        (Limit(declare.MOST_LINES, "lines", ("variant", "backend"), _effect),),
        shows=lambda row: row.case.device == "gpu" and row.reference == "cpu",
    ),
)
BACKEND_SPEEDUP = _table(
    "backend_speedup",
    "backend",
    "Speedup by Keras backend, per sample",
    f"{_BACKENDS} speedup low high {_JUDGED} cautions",
    columns=(
        labels.VARIANT,
        labels.DEVICE,
        labels.BATCH,
        Column("backend", "backend", numeric=False),
        labels.REFERENCE,
        Column("jit", "jit", declare.yes_or_no, numeric=False, rank=2),
        _SPEEDUP,
        declare.energy_column(),
        _VERDICT,
        _BLOCKS,
    ),
    chart=Chart(_bars("backend", "{}"), **_BARS),
)
THREAD_SPEEDUP = _table(
    "thread_speedup",
    "threads",
    "Speedup by CPU threads",
    f"{_THREADS} speedup low high efficiency {_JUDGED} cautions",
    columns=(
        labels.VARIANT,
        labels.BACKEND,
        labels.BATCH,
        Column("threads", "threads"),
        labels.REFERENCE,
        _SPEEDUP,
        declare.energy_column(),
        Column("efficiency", "efficiency", declare.share_of),
        _VERDICT,
        _BLOCKS,
    ),
    chart=Chart(_bars("threads", "{} thread", "if every thread helped fully"), **_BARS),
)
