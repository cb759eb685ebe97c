"""The table of ladders: where a speedup comes from, one change at a time."""

import dataclasses
from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.cases import quotient
from harness.analyze.cautions import Caution
from harness.analyze.explain import ladder as ladders
from harness.analyze.verdicts import Judged, judge
from harness.records import Case, Estimate, Ladder, Measurement
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, grouped, speedup_of
from harness.tables.text import judged_notes, verdict_of

DIRECT = "direct"
_LADDER = ("order", "device", "backend")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LadderRow:
    """One change against the case before it, or all changes at once.

    Attributes:
        rung: Number of the change, or `direct`.
        share: See `ladder.Climb`.
        cumulative: Product of the changes so far.
    """

    order: str
    rung: str
    change: str
    case: Case = columns("variant device backend batch_size")
    optimizer: str
    reference: Case = columns("reference=variant reference_batch_size=batch_size")
    parameter_ratio: float
    mac_ratio: float | None
    judged: Judged = columns(f"{declare.JUDGED} published noise_floor")
    share: float | None = None
    cumulative: Estimate | None = None
    product_over_direct: Estimate | None = None
    cautions: tuple[Caution, ...]


def _rows(analysis: Analysis) -> list[LadderRow]:
    measured = {o.key: o for o in analysis.run.outcomes if isinstance(o, Measurement)}
    return [row for each in analysis.run.ladders for row in _of(each, measured, analysis)]


def _of(each: Ladder, measured: dict[str, Measurement], analysis: Analysis) -> Iterator[LadderRow]:
    climb = ladders.climb(each, measured, analysis.speedups)
    for number, m in enumerate(climb.steps):
        row = _row(each, str(number + 1), each.rungs[number].change, m, analysis)
        yield dataclasses.replace(row, share=climb.shares[number], cumulative=climb.so_far[number])
    if climb.direct is not None:
        row = _row(each, DIRECT, f"all {len(each.rungs)} at once", climb.direct, analysis)
        yield dataclasses.replace(row, product_over_direct=climb.product_over_direct)


def _row(each: Ladder, rung: str, change: str, m: Measurement, analysis: Analysis) -> LadderRow:
    facts, other = m.facts, m.reference_facts
    return LadderRow(
        order=each.name,
        rung=rung,
        change=change,
        case=m.case,
        optimizer=facts.optimizer,
        reference=m.reference,
        parameter_ratio=other.parameters / facts.parameters,
        mac_ratio=quotient(other.macs_per_sample, facts.macs_per_sample),
        judged=judge(m, analysis),
        cautions=tuple(analysis.roles.cautions(m)),
    )


def _notes(rows: Sequence[LadderRow]) -> Iterator[str]:
    yield (
        "so far: all changes up to this line, multiplied; share: how much of the whole speedup "
        "this change explains, on a log scale, so that the shares add up to 100 %"
    )
    where = labels.place_of(rows)
    for row in rows:
        if (ratio := row.product_over_direct) is not None:
            agreement = {True: ": they agree", False: ": they do NOT agree", None: ""}
            yield (
                f"{row.order}{where(row)}: product of the changes over the direct comparison "
                f"{speedup_of(ratio)}{agreement[ratio.holds(1)]}"
            )
    changes = [row for row in rows if row.rung != DIRECT]
    by_change = grouped(changes, lambda row: (row.change, where(row)))
    several = [
        f"{change}{place} {' or '.join(units.ratio(row.judged.speedup.value) for row in its)}"
        for (change, place), its in by_change.items()
        if len(its) > 1
    ]
    if several:
        yield f"depending on the order of the changes: {'; '.join(several)}"
    yield from judged_notes(rows, lambda row: f"{row.order}, {row.rung}")


def _draw(rows: list[LadderRow], caption: str) -> drawing.Figure:
    """A waterfall per order of the changes."""
    orders = list(grouped(rows, declare.key_of(*_LADDER)).values())
    size = (drawing.WIDTH, 1.2 + 0.27 * len(rows) + 0.35 * len(orders))
    figure, panels = drawing.grid(_finding(rows), caption, rows=len(orders), size=size, share="col")
    low, high = drawing.reach([Estimate(1.0, None, None, 0), *(_bar(row)[1] for row in rows)])
    for (axes,), its in zip(panels, orders, strict=True):
        where = labels.words(its[0], labels.differing(rows, ("device", "backend")))
        told = f"One change at a time, {', '.join(filter(None, (its[0].order, where)))}"
        for row in its:
            if row.rung == DIRECT and row.judged.published:
                whole = units.ratio(row.judged.published)
                told += f" (published, on another machine: {whole} in all)"
        drawing.subtitled(axes, told)
        drawing.horizontal(axes, [row.change for row in its])
        drawing.ratio_scale(axes, "x", 0.97 * low, high * (high / low) ** 0.14)
        _waterfall(axes, its)
    panels[-1][0].set_xlabel(
        "speedup so far (log scale), with the 95 % interval of the change;\n"
        "each bar begins where the one above ends"
    )
    drawing.legend_below(figure, drawing.patches(dict.fromkeys(map(_look, rows))), columns=3)
    return figure


def _look(row: LadderRow) -> tuple[str, str, str]:
    if row.rung == DIRECT:
        return "#999999", "", "all changes at once"
    return drawing.bar_look(row.judged.verdict)


def _waterfall(axes: drawing.Axes, rows: Sequence[LadderRow]) -> None:
    for place, row in enumerate(rows):
        start, end = _bar(row)
        speedup, (color, hatch, _) = row.judged.speedup.value, _look(row)
        drawing.bar(axes, place, end, start, color=color, hatch=hatch)
        drawing.beside(axes, units.ratio(speedup), max(start, *drawing.reach([end])), place)
        if row.rung != DIRECT:
            axes.plot([end.value] * 2, [place, place + 1], color="black", linewidth=0.6)


def _bar(row: LadderRow) -> tuple[float, Estimate]:
    """Return where a bar begins and ends, with the interval of the change alone."""
    e = row.judged.speedup
    start = 1.0 if row.cumulative is None else row.cumulative.value / e.value
    return start, e.times(start)


def _finding(rows: Sequence[LadderRow]) -> str:
    first = next(iter(grouped(rows, declare.key_of(*_LADDER)).values()))
    changes = [row for row in first if row.rung != DIRECT]
    direct = [row.judged.speedup for row in first if row.rung == DIRECT]
    whole = direct[0] if direct else changes[-1].cumulative
    together = f"All {len(changes)} changes together: {units.ratio(whole.value if whole else None)}"
    most = max(changes, key=lambda row: row.share or 0.0, default=None)
    if most is None or most.share is None:
        return together
    return f"{together}, of which “{most.change}” explains {units.percent(100 * most.share)}"


LADDER = Table(
    name="ladder",
    title="Where the speedup comes from: one change at a time, each compared with the one before",
    row=LadderRow,
    rows=_rows,
    csv="* published noise_floor cautions",
    columns=(
        Column("order", "order", numeric=False, shared=True),
        Column("step", "rung"),
        Column("change", "change", numeric=False),
        labels.DEVICE,
        labels.BACKEND,
        Column("fewer params", "parameter_ratio", units.ratio, rank=4),
        Column("fewer MACs", "mac_ratio", units.ratio, rank=4),
        Column("speedup [95 %]", "judged.speedup", speedup_of),
        declare.energy_column(),
        Column("verdict", verdict_of, numeric=False, rank=2),
        Column("share", "share", lambda share: f"{round(100 * share)} %", rank=3),
        Column("so far [95 %]", "cumulative", speedup_of, rank=1),
        Column("published", "judged.published", units.ratio, rank=5),
        Column("blocks", "judged.blocks", rank=6),
    ),
    notes=_notes,
    name_of=lambda row: row.change,
    chart=Chart(_draw, (Limit(declare.MOST_PANELS, "ladders", _LADDER),)),
)
