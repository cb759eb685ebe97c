"""The table of layers of two cases: where a difference of their steps comes from."""

import dataclasses
from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.explain import layer_changes
from harness.records import Case, Estimate
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, grouped

_WHOLE = 1.5  # a larger share of a difference means that others cancel it
_SHOWN = 10  # rows of a comparison that people see


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LayerChangeRow:
    """A layer of a case beside that of the reference.

    Attributes:
        layer: Empty where only the reference has such a layer.
        before_us: Microseconds per sample of the reference.
        difference_us: After less before.
        share: Of the difference of the whole steps.
    """

    case: Case = columns("case=id variant batch_size backend")
    reference: Case = columns("reference=id")
    layer: str
    reference_layer: str
    before_us: float
    after_us: float
    difference_us: Estimate
    share: float


def _rows(analysis: Analysis) -> list[LayerChangeRow]:
    return [
        LayerChangeRow(
            case=profile.case,
            reference=reference.case,
            layer=one.layer,
            reference_layer=one.reference_layer,
            before_us=1e6 * one.before,
            after_us=1e6 * one.after,
            difference_us=one.difference.times(1e6),
            share=one.share,
        )
        for profile, reference in layer_changes.pairs(analysis)
        for one in layer_changes.changes(profile, reference)
    ]


def _by_pair(rows: Sequence[LayerChangeRow]) -> list[list[LayerChangeRow]]:
    return [*grouped(rows, lambda row: (row.case, row.reference)).values()]


def _selected(rows: Sequence[LayerChangeRow]) -> list[LayerChangeRow]:
    """The largest differences of each comparison."""
    return [row for its in _by_pair(rows) for row in its[:_SHOWN]]


def _label(row: LayerChangeRow) -> str:
    if row.layer == row.reference_layer:
        return row.layer
    return f"{row.layer or 'nothing'} for {row.reference_layer or 'nothing'}"


def _names(row: LayerChangeRow) -> tuple[str, str]:
    """The names of the case and of its reference, which tell one from the other."""
    names = labels.case_names((row.case, row.reference))
    return names[row.case], names[row.reference]


def _reference(row: LayerChangeRow) -> str:
    return _names(row)[1]


def _finding(its: Sequence[LayerChangeRow]) -> str:
    """Say what the largest part of the difference is."""
    whole, first = sum(row.difference_us.value for row in its), its[0]
    how, (name, reference) = "less" if whole < 0 else "more", _names(first)
    text = f"{name} takes {units.digits(abs(whole))} µs per sample {how} than {reference}: "
    if 0 <= first.share <= _WHOLE:
        return text + f"{_label(first)} is {units.percent(100 * first.share)} of that"
    return text + f"the largest change is {_label(first)}, {_signed(first.difference_us.value)} µs"


def _notes(rows: Sequence[LayerChangeRow]) -> Iterator[str]:
    yield from map(_finding, _by_pair(rows))
    yield (
        "per sample, from the profiles of both; layers are paired in their order, those of one "
        "kind first; share: of the difference of the whole steps"
    )


def _draw(rows: list[LayerChangeRow], caption: str) -> drawing.Figure:
    """A panel per comparison, a bar per layer from 0 to its difference."""
    found = _by_pair(rows)
    count = sum(len(its[:_SHOWN]) for its in found)
    size = (drawing.WIDTH, 1.2 + 0.26 * count + 0.4 * len(found))
    figure, panels = drawing.grid(
        "; ".join(map(_finding, found)), caption, rows=len(found), size=size
    )
    for (axes,), (first, *others) in zip(panels, found, strict=True):
        its = [first, *others][:_SHOWN]
        told = "{} against {}; left of 0: less time".format(*_names(first))
        drawing.subtitled(axes, told)
        drawing.horizontal(axes, [_label(row) for row in its])
        for place, row in enumerate(its):
            saved = row.difference_us.value < 0
            color, hatch = (drawing.BEST, "..") if saved else (drawing.COLORS[1], "//")
            drawing.bar(axes, place, row.difference_us, color=color, hatch=hatch)
        axes.axvline(0, color="black", linewidth=0.8)
    panels[-1][0].set_xlabel("microseconds per sample against the reference, with 95 % interval")
    return figure


def _microseconds(estimate: Estimate) -> str:
    return declare.interval_of(estimate, _signed)


def _signed(us: float) -> str:
    return f"{'-' if us < 0 else '+'}{units.digits(abs(us))}"


LAYER_CHANGES = Table(
    name="layer_changes",
    title="Where the difference comes from, layer by layer",
    row=LayerChangeRow,
    rows=_rows,
    selected=_selected,
    columns=(
        Column("case", lambda row: _names(row)[0], numeric=False, shared=True),
        Column("reference", _reference, numeric=False, shared=True),
        Column("layer", lambda row: row.layer or None, numeric=False),
        Column("in place of", lambda row: row.reference_layer or None, numeric=False),
        Column("before µs", "before_us", units.digits, rank=2),
        Column("after µs", "after_us", units.digits, rank=2),
        Column("difference µs [95 %]", "difference_us", _microseconds),
        Column("share", "share", declare.share_of, rank=1),
    ),
    notes=_notes,
    name_of=lambda row: row.layer,
    chart=Chart(_draw, (Limit(declare.MOST_PANELS, "comparisons", ("case", "reference")),)),
)
