"""The table of memory: what the peak of a step consists of, layer by layer."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB
from harness.analyze.explain import memory
from harness.analyze.explain.memory import Memory, MemoryPart
from harness.records import Case, Machine, Profile
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, grouped

_SHOWN = 8  # layers of a case on the console; the others are one line
_OTHERS = "{} more layers"
_MIB = "{:.1f}".format
_MANY = 10**6  # samples: no step is as large
# What the bars of the chart consist of, from a row to MiB, with color and hatch.
_KINDS: tuple[tuple[str, str, str], ...] = (
    (memory.FRAMEWORK, drawing.GRAY, ""),
    (memory.DATA, drawing.COLORS[4], "//"),
    ("weights, their gradients, optimizer", drawing.COLORS[2], ""),
    ("outputs of layers", drawing.COLORS[0], ""),
    (memory.OUTPUT_GRADIENTS, drawing.COLORS[3], "\\\\"),
    (memory.TEMPORARY, drawing.COLORS[5], ".."),
    (memory.OTHER, "#eeeeee", "xx"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """A layer of a profiled case, or another part of the peak, in MiB.

    Attributes:
        part: Path of the layer, or what else takes memory.
        total_mib: Of all kinds; negative where the framework keeps less than the model assumes.
        share: Of the peak.
        peak_mib: Mean over workers.
        explained: Share of the peak beyond framework and data that the model accounts for.
        sample_kib: By which the peak grows per sample of the batch.
        limit_mib: Memory for which `fits` is given.
        fits: Largest batch size that leaves a tenth of the limit free.
        deepest: Layer in whose backward pass the model has its peak.
        unknown: Layers whose outputs have no fixed shape and are not counted.
    """

    case: Case = columns("case=id variant batch_size backend device threads")
    part: str
    type: str | None = None
    activations_mib: float | None = None
    weights_mib: float | None = None
    gradients_mib: float | None = None
    optimizer_mib: float | None = None
    total_mib: float
    share: float
    peak_mib: float
    explained: float | None
    sample_kib: float | None
    limit_mib: float
    fits: int | None
    deepest: str
    unknown: tuple[str, ...]


def _rows(analysis: Analysis) -> list[MemoryRow]:
    found = []
    for profile in analysis.run.profiles:
        if (its := memory.memory(profile)) is not None:
            limit = profile.memory_bytes or _memory(analysis.run.machine)
            found += [_row(profile, its, part, limit) for part in its.parts]
    return found


def _memory(machine: Machine) -> int:
    """Memory that a process may take: a container may have less than the machine."""
    return min(machine.memory_bytes, machine.memory_limit_bytes or machine.memory_bytes)


def _row(profile: Profile, its: Memory, part: MemoryPart, limit: int) -> MemoryRow:
    row = MemoryRow(
        case=profile.case,
        part=part.name,
        total_mib=part.total / MIB,
        share=part.total / its.peak,
        peak_mib=its.peak / MIB,
        explained=its.explained,
        sample_kib=None if its.per_sample is None else its.per_sample / 2**10,
        limit_mib=limit / MIB,
        fits=its.largest_batch(profile.case.batch_size, limit),
        deepest=its.deepest,
        unknown=its.unknown,
    )
    if part.facts is None:
        return row
    return dataclasses.replace(
        row,
        type=part.facts.type,
        activations_mib=part.activations / MIB,
        weights_mib=part.weights / MIB,
        gradients_mib=part.gradients / MIB,
        optimizer_mib=part.optimizer / MIB,
    )


def _selected(rows: Sequence[MemoryRow]) -> list[MemoryRow]:
    """The layers by their size, the largest first, small ones in one row; then the other parts."""
    found: list[MemoryRow] = []
    for its in grouped(rows, lambda row: row.case).values():
        layers = sorted((row for row in its if row.type), key=lambda row: -row.total_mib)
        layers = [row for row in layers if row.total_mib > 0]
        found += layers[:_SHOWN]
        if rest := layers[_SHOWN:]:
            found.append(_together(rest))
        found += [row for row in its if row.type is None]
    return found


def _together(rows: Sequence[MemoryRow]) -> MemoryRow:
    def total(of: Callable[[MemoryRow], float | None]) -> float:
        return sum(of(row) or 0.0 for row in rows)

    return dataclasses.replace(
        rows[0],
        part=_OTHERS.format(len(rows)),
        type="",
        activations_mib=total(lambda row: row.activations_mib),
        weights_mib=total(lambda row: row.weights_mib),
        gradients_mib=total(lambda row: row.gradients_mib),
        optimizer_mib=total(lambda row: row.optimizer_mib),
        total_mib=total(lambda row: row.total_mib),
        share=total(lambda row: row.share),
    )


def finding(rows: Sequence[MemoryRow]) -> str:
    """Say how the peak grows with the batch, and which batch size would fit."""
    first = rows[0]
    text = f"the peak is {units.count(first.peak_mib)} MiB"
    if first.sample_kib is None:
        return text
    text += f" and grows by {units.digits(first.sample_kib)} KiB per sample"
    if first.fits is not None and first.fits < _MANY:
        gib = units.digits(first.limit_mib / 1024)
        text += f"; {gib} GiB hold a batch of about {units.count(_rounded(first.fits))}"
    return text


def _rounded(number: int) -> int:
    """Leave the first two digits: no more is known."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return number // unit * unit


def _notes(rows: Sequence[MemoryRow]) -> Iterator[str]:
    names = labels.case_names(row.case for row in rows)
    for case, its in grouped(rows, lambda row: row.case).items():
        first, name = its[0], names[case]
        yield f"{name}: {finding(its)}"
        if first.unknown:
            layers = ", ".join(first.unknown)
            yield f"{name}: not counted, since their outputs have no fixed shape: {layers}"
        if first.explained is not None:
            yield (
                f"{name}: the layers explain {units.percent(100 * first.explained)} of the peak "
                "beyond framework and data; in the model, the peak is in the backward pass of "
                f"{first.deepest or 'no layer'}"
            )
    yield (
        "outputs, weights, gradients, optimizer: computed from shapes; all else from the resident "
        "memory of workers at two batch sizes"
    )
    yield (
        f"{memory.TEMPORARY}: what grows with the batch besides; {memory.OTHER}: graphs, compiled "
        "programs, what the allocator keeps"
    )
    if any(row.fits is not None for row in rows):
        yield f"a batch that fits leaves {100 * memory.FREE:.0f} % of the memory free"


def _draw(rows: list[MemoryRow], caption: str) -> drawing.Figure:
    """A bar per case, from the framework to what is left over."""
    cases = list(grouped(rows, lambda row: row.case).values())
    title = finding(cases[0])
    if len(cases) > 1:
        title = "What the peak of a step's memory consists of"
    figure, axes = drawing.single(
        title[0].upper() + title[1:],
        labels.common(rows, ("variant", "batch_size", "backend")),
        caption,
        height=1.9 + 0.5 * len(cases),
    )
    names = labels.case_names(row.case for row in rows)
    drawing.horizontal(axes, [names[its[0].case] for its in cases])
    for place, its in enumerate(cases):
        start = 0.0
        for (_, color, hatch), mib in zip(_KINDS, _sizes(its), strict=True):
            if mib > 0:
                looks = {"color": color, "hatch": hatch, **drawing.EDGE}
                axes.barh(place, mib, 0.6, left=start, **looks)
                start += mib
        drawing.beside(axes, f"{units.count(its[0].peak_mib)} MiB", start, place)
    axes.set_xlim(0, 1.15 * max(row.peak_mib for row in rows))
    axes.set_xlabel("MiB of resident memory at its peak")
    kinds = [(color, hatch, name) for name, color, hatch in _KINDS]
    drawing.legend_below(figure, drawing.patches(kinds), columns=3)
    return figure


def _sizes(its: Sequence[MemoryRow]) -> Iterator[float]:
    """Yield the sizes of `_KINDS`."""
    layers = [row for row in its if row.type is not None]
    for name, _, _ in _KINDS:
        if name == "outputs of layers":
            yield sum(row.activations_mib or 0.0 for row in layers)
        elif name.startswith("weights"):
            yield sum(row.total_mib - (row.activations_mib or 0.0) for row in layers)
        else:
            # With one batch size, the last row is that of both kinds of rest.
            yield sum(row.total_mib for row in its if row.part.endswith(name) and not row.type)


MEMORY = Table(
    name="memory",
    title="Where the peak of the memory is, in MiB",
    row=MemoryRow,
    rows=_rows,
    selected=_selected,
    columns=(
        *labels.CASE,
        labels.THREADS,
        labels.SETTING,
        labels.BATCH,
        Column("part", "part", numeric=False),
        Column("MiB", "total_mib", _MIB),
        Column("share", "share", declare.share_of),
        Column("outputs", "activations_mib", _MIB, rank=1),
        Column("weights", "weights_mib", _MIB, rank=2),
        Column("gradients", "gradients_mib", _MIB, rank=3),
        Column("optimizer", "optimizer_mib", _MIB, rank=2),
        Column("type", lambda row: row.type or None, numeric=False, rank=4),
    ),
    notes=_notes,
    name_of=lambda row: row.part,
    chart=Chart(_draw, (Limit(declare.MOST_PANELS, "cases", ("case",)),)),
)
