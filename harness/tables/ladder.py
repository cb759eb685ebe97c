"""The table of ladders: where a speedup comes from, one change at a time."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness import units
from harness.analyze import ladder as ladders
from harness.analyze.analysis import Analysis
from harness.analyze.cases import quotient
from harness.analyze.cautions import Caution
from harness.analyze.verdicts import Verdict, judge
from harness.records import Estimate, Ladder, Measurement
from harness.tables.declare import (
    MOST_PANELS,
    Chart,
    Column,
    Limit,
    Table,
    differing,
    ends,
    given,
    grouped,
    place_of,
    speedup_of,
    words,
)
from harness.tables.text import judged_notes, verdict_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIRECT = "direct"


@dataclasses.dataclass(frozen=True, slots=True)
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
    variant: str
    device: str
    backend: str
    batch_size: int
    optimizer: str
    reference: str
    reference_batch_size: int
    parameter_ratio: float
    mac_ratio: float | None
    speedup: Estimate = ends("low", "high")
    blocks: int = 0
    verdict: Verdict | None = None
    smallest_visible: float | None = None
    share: float | None = None
    cumulative: Estimate | None = None
    product_over_direct: Estimate | None = None
    published: float | None = None
    noise_floor: bool = False
    cautions: tuple[Caution, ...] = ()


def _rows(analysis: Analysis) -> list[LadderRow]:
    measured = {o.key: o for o in analysis.run.outcomes if isinstance(o, Measurement)}
    return [row for each in analysis.run.ladders for row in _of(each, measured, analysis)]


def _of(each: Ladder, measured: dict[str, Measurement], analysis: Analysis) -> Iterator[LadderRow]:
    climb = ladders.climb(each, measured)
    for number, m in enumerate(climb.steps):
        row = _row(each, str(number + 1), each.rungs[number].change, m, analysis)
        yield dataclasses.replace(row, share=climb.shares[number], cumulative=climb.so_far[number])
    if climb.direct is not None:
        row = _row(each, DIRECT, f"all {len(each.rungs)} at once", climb.direct, analysis)
        yield dataclasses.replace(row, product_over_direct=climb.product_over_direct)


def _row(each: Ladder, rung: str, change: str, m: Measurement, analysis: Analysis) -> LadderRow:
    judged, facts, other = judge(m, analysis), m.facts, m.reference_facts
    return LadderRow(
        order=each.name,
        rung=rung,
        change=change,
        variant=m.case.variant,
        device=m.case.device,
        backend=m.case.backend,
        batch_size=m.case.batch_size,
        optimizer=facts.optimizer,
        reference=m.reference.variant,
        reference_batch_size=m.reference.batch_size,
        parameter_ratio=other.parameters / facts.parameters,
        mac_ratio=quotient(other.macs_per_sample, facts.macs_per_sample),
        speedup=judged.speedup,
        blocks=judged.blocks,
        verdict=judged.verdict,
        smallest_visible=judged.smallest_visible,
        published=judged.published,
        noise_floor=judged.noise_floor,
        cautions=tuple(analysis.roles.cautions(m)),
    )


def _notes(rows: Sequence[LadderRow]) -> Iterator[str]:
    yield (
        "so far: all changes up to this line, multiplied; share: how much of the whole speedup "
        "this change explains, on a log scale, so that the shares add up to 100 %"
    )
    where = place_of(rows)
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
        f"{change}{place} {' or '.join(units.ratio(row.speedup.value) for row in its)}"
        for (change, place), its in by_change.items()
        if len(its) > 1
    ]
    if several:
        yield f"depending on the order of the changes: {'; '.join(several)}"
    yield from judged_notes(rows, lambda row: f"{row.order}, {row.rung}")


def _draw(rows: list[LadderRow], caption: str) -> "Figure":
    """A waterfall per order of the changes."""
    from harness.tables import drawing

    orders = list(grouped(rows, _key).values())
    figure, panels = drawing.grid(
        _finding(rows),
        caption,
        rows=len(orders),
        size=(drawing.WIDTH, 1.2 + 0.27 * len(rows) + 0.35 * len(orders)),
        share="col",
    )
    low, high = drawing.reach([Estimate(1.0, None, None, 0), *(_bar(row)[1] for row in rows)])
    for (axes,), its in zip(panels, orders, strict=True):
        where = words(its[0], differing(rows, ("device", "backend")))
        told = f"One change at a time, {', '.join(filter(None, (its[0].order, where)))}"
        published = [row.published for row in its if row.rung == DIRECT and row.published]
        if published:
            told += f" (published, on another machine: {units.ratio(published[0])} in all)"
        drawing.subtitled(axes, told)
        drawing.horizontal(axes, [row.change for row in its])
        drawing.ratio_scale(axes, "x", 0.97 * low, high * (high / low) ** 0.14)
        _waterfall(axes, its)
    panels[-1][0].set_xlabel("speedup so far (log scale); each bar begins where the one above ends")
    drawing.legend_below(figure, drawing.patches(_LOOKS.values()), columns=3)
    return figure


_LOOKS = {  # color, hatch, name
    "faster": ("#56B4E9", "", "faster, with the 95 % interval of the change"),
    "slower": ("#E69F00", "//", "slower"),
    DIRECT: ("#bbbbbb", "", "all changes at once"),
}


def _waterfall(axes: "Axes", rows: Sequence[LadderRow]) -> None:
    from harness.tables import drawing

    for place, row in enumerate(rows):
        start, end = _bar(row)
        what = DIRECT if row.rung == DIRECT else "faster" if row.speedup.value >= 1 else "slower"
        color, hatch, _ = _LOOKS[what]
        axes.barh(
            place,
            end.value - start,
            0.6,
            start,
            color=color,
            hatch=hatch,
            **drawing.EDGE,
        )
        if end.low is not None:
            axes.errorbar(
                end.value, place, xerr=drawing.arms([end]), fmt="none", color="black", capsize=3
            )
        drawing.beside(
            axes, units.ratio(row.speedup.value), max(start, *drawing.reach([end])), place
        )
        if what != DIRECT:
            axes.plot([end.value] * 2, [place, place + 1], color="black", linewidth=0.6)


def _bar(row: LadderRow) -> tuple[float, Estimate]:
    """Return where a bar begins and ends, with the interval of the change alone."""
    e = row.speedup
    start = 1.0 if row.cumulative is None else row.cumulative.value / e.value
    return start, e.times(start)


def _finding(rows: Sequence[LadderRow]) -> str:
    first = next(iter(grouped(rows, _key).values()))
    changes = [row for row in first if row.rung != DIRECT]
    direct = [row.speedup for row in first if row.rung == DIRECT]
    whole = direct[0] if direct else changes[-1].cumulative
    together = f"All {len(changes)} changes together: {units.ratio(whole.value if whole else None)}"
    most = max(changes, key=lambda row: row.share or 0.0, default=None)
    if most is None or most.share is None:
        return together
    return f"{together}, of which “{most.change}” explains {units.percent(100 * most.share)}"


def _key(row: LadderRow) -> tuple[str, str, str]:
    return row.order, row.device, row.backend


LADDER = Table(
    name="ladder",
    title="Where the speedup comes from: one change at a time, each compared with the one before",
    row=LadderRow,
    rows=_rows,
    columns=(
        Column("order", lambda row: row.order, numeric=False, shared=True),
        Column("step", lambda row: row.rung),
        Column("change", lambda row: row.change, numeric=False),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("fewer params", lambda row: units.ratio(row.parameter_ratio), rank=4),
        Column("fewer MACs", lambda row: units.ratio(row.mac_ratio), rank=4),
        Column("speedup [95 %]", lambda row: speedup_of(row.speedup)),
        Column("verdict", verdict_of, numeric=False, rank=2),
        Column("share", lambda r: given(r.share, lambda v: f"{round(100 * v)} %"), rank=3),
        Column("so far [95 %]", lambda row: speedup_of(row.cumulative), rank=1),
        Column("published", lambda row: units.ratio(row.published), rank=5),
        Column("blocks", lambda row: str(row.blocks), rank=6),
    ),
    notes=_notes,
    name_of=lambda row: row.change,
    chart=Chart(_draw, (Limit(MOST_PANELS, "ladders", _key),)),
)
