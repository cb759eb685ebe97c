"""The table of layers: where the time of a step goes, forward and backward."""

import dataclasses
from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.explain import layers
from harness.analyze.explain.layers import LayerTime
from harness.records import Case, Estimate, Profile
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, grouped, percent_of

_SHOWN = 12  # rows of a case on the console; the others are one line
_IDLE = 0.1  # share of a step from which on the GPU's waiting is said first
_OTHERS, _SIZES = "{} more layers", " × "


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """A layer of a profiled case, or another part of its step.

    Attributes:
        layer: Path of the layer, or what else the step does.
        forward_us: Microseconds per step.
        total_us: Of both directions.
        gflops: Floating-point operations per second of both directions, in 10^9.
        of_peak: The same over the rate of a matrix product on this machine.
        of_copy: Bytes moved per second at least, over the rate of a copy.
        bound: The roof that bounds the layer.
        operations: What takes most of the time, with its share.
        trace: File of all operations, in the folder of the run.
    """

    case: Case = columns("case=id variant batch_size backend device threads")
    layer: str
    type: str | None = None
    calls: float | None = None
    output_shape: str | None = None
    parameters: int | None = None
    parameter_share: float | None = None
    macs_per_sample: int | None = None
    activation_bytes: int | None = None
    forward_us: float | None = None
    backward_us: float | None = None
    total_us: float
    share: Estimate
    gflops: float | None = None
    of_peak: float | None = None
    of_copy: float | None = None
    bound: str = ""
    operations: tuple[str, ...]
    trace: str


def _rows(analysis: Analysis) -> list[LayerRow]:
    return [
        _row(profile, one) for profile in analysis.run.profiles for one in layers.times(profile)
    ]


def _row(profile: Profile, one: LayerTime) -> LayerRow:
    roof, seconds = one.roof, one.forward + one.backward
    row = LayerRow(
        case=profile.case,
        layer=one.name,
        total_us=1e6 * seconds,
        share=one.share,
        operations=tuple(f"{name} {100 * share:.0f} %" for name, share in one.operations),
        trace=profile.trace,
    )
    if (facts := one.facts) is None:
        return row
    shape, parameters = facts.output_shape, profile.facts.parameters
    return dataclasses.replace(
        row,
        type=facts.type,
        calls=facts.calls,
        output_shape=None if shape is None else _SIZES.join(map(_size, shape)),
        parameters=facts.parameters,
        parameter_share=facts.parameters / parameters if parameters else None,
        macs_per_sample=facts.macs_per_sample,
        activation_bytes=facts.activation_bytes_per_sample,
        forward_us=1e6 * one.forward,
        backward_us=1e6 * one.backward,
        gflops=roof.flop / seconds / 1e9 if roof.flop and seconds else None,
        of_peak=roof.arithmetic,
        of_copy=roof.memory,
        bound=roof.bound,
    )


def _size(number: int | None) -> str:
    return "?" if number is None else str(number)


def _selected(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """The layers by their share, the largest first, then the other parts; small ones in one row."""
    found: list[LayerRow] = []
    for its in grouped(rows, lambda row: row.case).values():
        parts = [row for row in its if row.type is None]
        others = sorted((row for row in its if row.type), key=lambda row: -row.share.value)
        found += others[:_SHOWN]
        if rest := others[_SHOWN:]:
            found.append(_together(rest))
        found += parts
    return found


def _together(rows: Sequence[LayerRow]) -> LayerRow:
    """Several layers as one row, without an interval: their shares are not independent."""
    forward = sum(row.forward_us or 0.0 for row in rows)
    backward = sum(row.backward_us or 0.0 for row in rows)
    share = sum(row.share.value for row in rows)
    return LayerRow(
        case=rows[0].case,
        layer=_OTHERS.format(len(rows)),
        parameters=sum(row.parameters or 0 for row in rows),
        macs_per_sample=sum(row.macs_per_sample or 0 for row in rows) or None,
        forward_us=forward,
        backward_us=backward,
        total_us=forward + backward,
        share=Estimate(share, None, None, rows[0].share.n),
        operations=(),
        trace=rows[0].trace,
    )


def finding(rows: Sequence[LayerRow]) -> str:
    """Say which layer takes most of a step, and what the one with most parameters takes."""
    its = [row for row in rows if row.type]
    text = _idle(rows) + _first(its)
    if not its:
        return text
    first = max(its, key=lambda row: row.share.value)
    if first.bound in ("arithmetic", "memory"):
        share = first.of_peak if first.bound == "arithmetic" else first.of_copy
        rate = "matrix product" if first.bound == "arithmetic" else "copy"
        text += f", at {units.percent(100 * (share or 0.0))} of the rate of a {rate}"
    most = max(its, key=lambda row: row.parameter_share or 0.0)
    if most is not first and (most.parameter_share or 0.0) >= layers.BOUND_FROM:
        text += (
            f"; {most.layer} holds {units.percent(100 * (most.parameter_share or 0.0))} of the "
            f"parameters and takes {units.percent(100 * most.share.value)}"
        )
    return text


def _idle(rows: Sequence[LayerRow]) -> str:
    idle = sum(row.share.value for row in rows if row.type is None and row.layer == layers.IDLE)
    return f"the GPU is idle for {units.percent(100 * idle)} of a step; " if idle >= _IDLE else ""


def _first(rows: Sequence[LayerRow]) -> str:
    first = max((row for row in rows if row.type), key=lambda row: row.share.value, default=None)
    if first is None:
        return "no layer could be told apart"
    return f"{first.layer} takes {units.percent(100 * first.share.value)} of a step"


def _notes(rows: Sequence[LayerRow]) -> Iterator[str]:
    for case, name in labels.case_names(row.case for row in rows).items():
        its = [row for row in rows if row.case == case]
        yield f"{name}: {finding(its)}"
        (rest,) = (r for r in its if r.type is None and r.layer == layers.UNATTRIBUTED)
        if rest.operations:
            yield f"{name}: unattributed: {', '.join(rest.operations)}"
        yield f"{name}: each operation: {rest.trace}, for ui.perfetto.dev or chrome://tracing"
    cases = {row.case for row in rows}
    if any(case.device == "cpu" for case in cases):
        yield "CPU: share in the traced steps; ms is that share of a step without tracing"
    compiled = {case for case in cases if case.backend == "tensorflow" and case.jit}
    if any(case.device == "cpu" and case.threads > 1 for case in compiled):
        yield (
            "jit: with several threads, a part of a convolution's time is in other rows; profile "
            "with --threads 1"
        )
    if any(case.device == "gpu" for case in cases):
        yield (
            "GPU: times of kernels and copies in a trace; for the rest of a step without tracing "
            "the GPU is idle and waits for the CPU"
        )
    if any(case.device == "gpu" and case.jit and case.backend != "torch" for case in cases):
        yield (
            "GPU: XLA launched each kernel alone, also for the time of a step, since CUDA graphs "
            "hide for which layer a kernel is"
        )
    yield (
        "operations that run at once share their time equally; a fused operation counts where its "
        "scope says"
    )
    yield (
        f"bound: the layer's work takes at least {100 * layers.BOUND_FROM:.0f} % of its time at "
        "the rate of a matrix product (arithmetic) or of a copy (memory) on this machine"
    )


def _draw(rows: list[LayerRow], caption: str) -> drawing.Figure:
    """A panel per case with a bar per layer: forward, then backward."""
    cases = [_selected(its) for its in grouped(rows, lambda row: row.case).values()]
    count = sum(map(len, cases))
    size = (drawing.WIDTH, 1.3 + 0.25 * count + 0.4 * len(cases))
    title = finding(cases[0])
    if len(cases) > 1:
        names = labels.case_names(row.case for row in rows)
        title = "; ".join(f"{names[its[0].case]}: {_first(its)}" for its in cases)
    figure, panels = drawing.grid(title, caption, rows=len(cases), size=size, share="col")
    looks = (drawing.COLORS[0], "", "forward"), (drawing.COLORS[4], "//", "backward")
    other = (drawing.GRAY, "..", "not a layer")
    for (axes,), its in zip(panels, cases, strict=True):
        step = sum(row.total_us for row in its)
        where = labels.words(its[0], ("variant", "batch_size", "backend", "device"))
        where = ", ".join(filter(None, (where, labels.settings(its[0].case))))
        drawing.subtitled(axes, f"{where}: {units.seconds(step / 1e6)} per step")
        drawing.horizontal(axes, [_label(row) for row in its])
        for place, row in enumerate(its):
            start = 0.0
            parts = zip((row.forward_us, row.backward_us), looks, strict=True)
            if row.forward_us is None:
                parts = zip((row.total_us,), (other,), strict=True)
            for us, (color, hatch, _) in parts:
                if us:
                    axes.barh(
                        place,
                        us / 1e3,
                        0.7,
                        left=start / 1e3,
                        color=color,
                        hatch=hatch,
                        **drawing.EDGE,
                    )
                    start += us
            drawing.beside(axes, units.percent(100 * row.share.value), start / 1e3, place)
    panels[-1][0].set_xlim(0, 1.12 * max(row.total_us for its in cases for row in its) / 1e3)
    panels[-1][0].set_xlabel("milliseconds per step")
    drawing.legend_below(figure, drawing.patches((*looks, other)), columns=3)
    return figure


def _label(row: LayerRow) -> str:
    return f"{row.layer} ({row.type})" if row.type else row.layer


def _milliseconds(us: float) -> str:
    return units.digits(us / 1e3)


LAYERS = Table(
    name="layers",
    title="Where the time of a step goes, layer by layer, in milliseconds per step",
    row=LayerRow,
    rows=_rows,
    selected=_selected,
    columns=(
        *labels.CASE,
        labels.THREADS,
        labels.SETTING,
        labels.BATCH,
        Column("layer", "layer", numeric=False),
        Column("type", "type", numeric=False, rank=2),
        Column("output", "output_shape", rank=5),
        Column("params", "parameters", units.count, rank=4),
        Column("MACs", "macs_per_sample", units.count, rank=5),
        Column("ms", "total_us", _milliseconds),
        Column("forward", "forward_us", _milliseconds, rank=1),
        Column("backward", "backward_us", _milliseconds, rank=1),
        Column("share [95 %]", "share", percent_of),
        Column("GFLOP/s", "gflops", units.digits, rank=6),
        Column("of peak", "of_peak", declare.share_of, rank=3),
        Column("bound", lambda row: row.bound or None, numeric=False, rank=2),
    ),
    notes=_notes,
    name_of=lambda row: row.layer,
    chart=Chart(_draw, (Limit(declare.MOST_PANELS, "cases", ("case",)),)),
)
