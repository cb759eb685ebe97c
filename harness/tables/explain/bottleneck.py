"""The table of bottlenecks: what decides the time of each case, and what to try next."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.analyze.analysis import Analysis
from harness.analyze.explain.bottleneck import (
    BOUNDS,
    DISTURBED,
    NOT_SHOWN,
    ORDER,
    THROTTLED,
    Bottleneck,
    Bound,
    bottlenecks,
)
from harness.records import Case
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, percent_of, value_of

_FEW = 3
_PANELS = {  # of the bounds, by share
    "input_share": "added by fit",
    "overhead_share": "fixed cost",
    "memory_share": "memory, at least",
    "compute_share": "arithmetic, at most",
}
_SHARES = " ".join(declare.estimate(name, f"shares.{name}.estimate") for name in _PANELS)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BottleneckRow:
    """One measured case.

    Attributes:
        also: The verdicts of all findings but the first.
        missing: Why shares are not known.
        auxiliary: Whether the case exists only for a table of its own.
    """

    case: Case = columns("case=id variant dataset batch_size backend device threads precision jit")
    also: str
    evidence: tuple[str, ...]
    found: Bottleneck = columns(
        f"verdict advice {_SHARES} step_bytes copy_bytes_per_s=copy_rate step_flop "
        "product_flops=product_rate"
    )
    missing: tuple[str, ...]
    auxiliary: bool


def _rows(analysis: Analysis) -> list[BottleneckRow]:
    return [
        BottleneckRow(
            case=found.data.case,
            also=", ".join(dict.fromkeys(f.verdict for f in found.findings[1:])),
            evidence=tuple(f.evidence for f in found.findings),
            found=found,
            missing=tuple(_missing(found)),
            auxiliary=found.data.case in analysis.roles.auxiliary,
        )
        for found in bottlenecks(analysis)
    ]


def _missing(found: Bottleneck) -> Iterator[str]:
    known = ((name.removesuffix("_share"), share.missing) for name, share in found.shares.items())
    return (f"{name}: {reason}" for name, reason in known if reason)


def _notes(rows: Sequence[BottleneckRow]) -> Iterator[str]:
    yield from _tries(rows)
    thresholds = ", ".join(f"{b.verdict} {100 * b.threshold:.0f} %" for b in BOUNDS)
    yield f"a bottleneck is shown where the whole interval lies at or above: {thresholds}"
    if any(row.also for row in rows):
        yield f"of several the first is named: {', '.join(ORDER)}"
    yield (
        "shares of a step's time. added by fit: input that is not hidden behind steps; fixed cost: "
        "see the table of batch sizes; memory: at least, the bytes that a step moves at the rate "
        "of a copy; arithmetic: at most, at the rate of a matrix product"
    )
    name = _namer(rows)
    yield from _feeds(rows, name)
    for row in rows:
        if {finding.verdict for finding in row.found.findings} & {THROTTLED, DISTURBED}:
            yield f"{name(row)}: {'; '.join(row.evidence)}"
    for reason in dict.fromkeys(reason for row in rows for reason in row.missing):
        its = [name(row) for row in rows if reason in row.missing]
        few = len(its) <= _FEW and len(its) < len(rows)  # many show as gaps
        yield f"missing: {reason}" + (f" [{', '.join(its)}]" if few else "")


def _feeds(rows: Sequence[BottleneckRow], name: Callable[[BottleneckRow], str]) -> Iterator[str]:
    """Say where `fit` trained on a pipeline of the user's, and where it could not."""
    by_feed: dict[str, list[str]] = {}
    for row in rows:
        facts = row.found.data.facts
        if facts.in_memory:
            feed = f"on arrays in memory instead of the pipeline ({facts.in_memory})"
            by_feed.setdefault(feed, []).append(name(row))
        elif facts.pipeline:
            by_feed.setdefault(f"on your pipeline ({facts.pipeline})", []).append(name(row))
    for feed, names in by_feed.items():
        yield f"fit trained {feed}" + (f": {', '.join(names)}" if len(names) < len(rows) else "")


def _tries(rows: Sequence[BottleneckRow]) -> Iterator[str]:
    for verdict in (*ORDER, NOT_SHOWN):
        for advice in dict.fromkeys(r.found.advice for r in rows if r.found.verdict == verdict):
            what = "what would show it: " if verdict == NOT_SHOWN else ""
            yield f"{verdict}: {what}{advice}"


def _namer(rows: Sequence[BottleneckRow]) -> Callable[[BottleneckRow], str]:
    """Return what names a case by the fields in which cases differ."""
    fields = ("variant", "batch_size", "backend", "device", "threads")
    told = labels.differing(rows, fields) or fields[:2]
    words = {"threads": "t{}"}
    return lambda row: " ".join(words.get(f, "{}").format(value_of(row, f)) for f in told)


_LABEL = ("variant", "batch_size", "device", "backend", "precision", "dataset", "threads")


def _draw(rows: list[BottleneckRow], caption: str) -> drawing.Figure:
    """A panel per share with a line where the share begins to decide; a row per case."""
    rows = sorted(rows, key=_order)
    bounds = [b for b in BOUNDS if any(row.found.shares[b.share].estimate for row in rows)]
    size = (drawing.WIDTH, 1.5 + 0.24 * max(4, len(rows)))
    figure, (panels,) = drawing.grid(
        _finding(rows), caption, columns=len(bounds), size=size, share="row"
    )
    names, same = labels.names_of(rows, _LABEL[:2], _LABEL[2:])
    drawing.horizontal(panels[0], names)
    for axes, bound in zip(panels, bounds, strict=True):
        drawing.subtitled(axes, _PANELS[bound.share])
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.grid(axis="y", visible=False)
        _shares(axes, rows, bound)
    verdicts = panels[-1].secondary_yaxis("right")
    verdicts.set_yticks(range(len(rows)), [row.found.verdict for row in rows], fontsize=8)
    verdicts.tick_params(length=0)
    verdicts.spines["right"].set_visible(False)
    text = f"% of a step, with 95 % interval; dashed: decides from here on\n{same}"
    figure.supxlabel(text, fontsize=8.5)
    return figure


def _shares(axes: drawing.Axes, rows: Sequence[BottleneckRow], bound: Bound) -> None:
    highest = 100 * bound.threshold
    for place, row in enumerate(rows):
        share = row.found.shares[bound.share].estimate
        if share is None:
            continue
        percent = share.times(100)
        shown = bound.verdict in {finding.verdict for finding in row.found.findings}
        looks: Any = {"color": drawing.COLORS[0] if shown else drawing.GRAY}
        looks |= {"hatch": "" if shown else "//", **drawing.EDGE}
        axes.barh(place, max(0.0, percent.value), 0.7, **looks)
        if percent.low is not None:
            drawing.interval(axes, percent, place, capsize=2, linewidth=1)
        highest = max(highest, drawing.reach([percent])[1])
    axes.axvline(100 * bound.threshold, color="black", linewidth=1, linestyle="--")
    axes.set_xlim(0, 1.1 * highest)


def _order(row: BottleneckRow) -> tuple[int, float]:
    """Those of one bottleneck together, the largest share first."""
    place = (*ORDER, NOT_SHOWN).index(row.found.verdict)
    its = [row.found.shares[b.share].estimate for b in BOUNDS if b.verdict == row.found.verdict]
    return place, -max((share.value for share in its if share is not None), default=0.0)


def _finding(rows: Sequence[BottleneckRow]) -> str:
    counts = Counter(row.found.verdict for row in rows)
    if len(rows) == 1:
        case = rows[0].case
        return f"{case.variant} at batch {case.batch_size} is {rows[0].found.verdict}"
    found = (f"{verdict} in {counts[verdict]}" for verdict in ORDER if counts[verdict])
    text = f"{', '.join(found)} of {len(rows)} cases"
    return text[0].upper() + text[1:]


BOTTLENECK = Table(
    name="bottleneck",
    title="What decides the time",
    row=BottleneckRow,
    rows=_rows,
    selected=lambda rows: [row for row in rows if not row.auxiliary],
    csv=(
        "case variant dataset batch_size backend device threads precision jit verdict also "
        "evidence *"
    ),
    columns=(
        *labels.CASE,
        labels.THREADS,
        labels.BATCH,
        Column("bottleneck", "found.verdict", numeric=False),
        Column("also", lambda row: row.also or None, numeric=False, rank=1),
        Column("added by fit [95 %]", "found.shares.input_share.estimate", percent_of, rank=3),
        Column("fixed cost [95 %]", "found.shares.overhead_share.estimate", percent_of, rank=2),
        Column("memory [95 %]", "found.shares.memory_share.estimate", percent_of, rank=2),
        Column("arithmetic [95 %]", "found.shares.compute_share.estimate", percent_of, rank=2),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        (Limit(declare.MOST_BARS, "cases"),),
        shows=lambda row: not row.auxiliary,
        answers=lambda rows: any(row.found.verdict in {b.verdict for b in BOUNDS} for row in rows),
    ),
)
