"""The table of the Keras project's own example models, beside the figures that it publishes."""

import dataclasses
from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze import keras_examples
from harness.analyze.analysis import Analysis
from harness.analyze.keras_examples import Published
from harness.analyze.verdicts import Judged, judge
from harness.records import Case, Estimate
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Table, columns, ends
from harness.tables.text import verdict_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRow:
    """One model at one batch size.

    Attributes:
        epoch_s: Of as many samples as the published dataset has, at the rate of the steps.
        reference: The batch size that the speedup is over; None for that size itself.
        published: Stands in the row of its batch size alone, or in the first row of the model
            where that size was not measured.
    """

    case: Case = columns("variant backend device threads batch_size")
    samples_per_s: Estimate = ends("samples_per_s_low", "samples_per_s_high")
    epoch_s: float
    macs_per_sample: int | None
    reference: int | None
    judged: Judged | None = columns(declare.JUDGED)
    published: Published | None = columns(
        "published_batch=batch_size published_samples_per_s=samples_per_s "
        "published_epoch_s=epoch_s published_wall_s=wall_s contradiction"
    )


def _rows(analysis: Analysis) -> list[ExampleRow]:
    cases = [data for data in analysis.cases if keras_examples.is_example(data.case)]
    speedups = {m.case: m for m in analysis.roles.compared("batch_size") if m.case != m.reference}
    found = []
    for data in cases:
        case = data.case
        m, known = speedups.get(case), keras_examples.published(case)
        rate = data.step.inverse().times(case.batch_size)
        same = [c.case for c in cases if _model(c.case) == _model(case)]
        home = [c for c in same if c.batch_size == known.batch_size] or same
        found.append(
            ExampleRow(
                case=case,
                samples_per_s=rate,
                epoch_s=known.samples / rate.value,
                macs_per_sample=data.facts.macs_per_sample,
                reference=None if m is None else m.reference.batch_size,
                judged=None if m is None else judge(m, analysis),
                published=known if case == home[0] else None,
            )
        )
    return found


def _model(case: Case) -> Case:
    return dataclasses.replace(case, batch_size=0)


def _name(row: ExampleRow) -> str:
    return row.case.variant.partition(":")[2]


def _published(row: ExampleRow) -> str:
    """Write the published rate, its batch size where that is another, and a doubt."""
    if row.published is None:
        return units.MISSING
    size = row.published.batch_size
    other = "" if size == row.case.batch_size else f" (batch {size})"
    doubt = " !" if row.published.contradiction else ""
    return units.digits(row.published.samples_per_s) + other + doubt


def _notes(rows: Sequence[ExampleRow]) -> Iterator[str]:
    yield (
        "published: the Keras project's own table, 8 vCPUs of a cloud machine or two V100 GPUs "
        "together; the version of TensorFlow is not stated. A ratio to it compares machines"
    )
    yield "s/epoch: of as many samples as the published dataset has, by the rate of the steps"
    doubts = {
        f"{_name(row)} on the {row.case.device.upper()}": row.published.contradiction
        for row in rows
        if row.published is not None and row.published.contradiction
    }
    for where, doubt in doubts.items():
        yield f"! {where}: what is published contradicts itself: {doubt}"


def _draw(rows: list[ExampleRow], caption: str) -> drawing.Figure:
    """A line per model and backend: its rate at each batch size, and the published one."""
    where = labels.place_of(rows)
    lines = list(dict.fromkeys(_name(row) + where(row) for row in rows))
    sizes = sorted({row.case.batch_size for row in rows})
    figure, axes = drawing.single(
        _finding(rows),
        f"samples per second with 95 % interval; {labels.common(rows, ('backend', 'device'))}",
        caption,
        1.6 + 0.36 * len(lines),
    )
    drawing.horizontal(axes, lines)
    for row in rows:
        index = sizes.index(row.case.batch_size)
        line = lines.index(_name(row) + where(row))
        place = line + 0.16 * (index - (len(sizes) - 1) / 2)
        looks = drawing.look(index)
        mark = {"fmt": looks["marker"], "color": looks["color"], "markersize": 5}
        drawing.interval(axes, row.samples_per_s, place, **mark)
        if row.published is not None:
            at = row.published.samples_per_s, line
            axes.plot(*at, "X", color="white", markeredgecolor="black", markersize=8)
            if row.published.contradiction:
                drawing.beside(axes, "contradicts itself", *at)
    for index, size in enumerate(sizes):
        looks = drawing.look(index)
        axes.plot([], [], looks["marker"], color=looks["color"], label=f"batch {size}")
    looks = {"color": "white", "markeredgecolor": "black"}
    axes.plot([], [], "X", **looks, label="published, on another machine")
    low, high = drawing.reach(row.samples_per_s for row in rows)
    known = [row.published.samples_per_s for row in rows if row.published is not None]
    drawing.log_scale(axes, "x", min(low, *known) / 1.5, max(high, *known) * 3)
    axes.set_xlabel("samples per second (log scale)")
    drawing.legend_below(figure, columns=4)
    return figure


def _finding(rows: Sequence[ExampleRow]) -> str:
    """Say what the largest batch brings over the smallest."""
    judged = [row for row in rows if row.judged is not None]
    if not judged:
        return f"{units.plural(len({_name(row) for row in rows}), 'model')} of the Keras project"
    best = max(judged, key=lambda row: row.judged.speedup.value if row.judged else 0.0)
    assert best.judged is not None
    speedup = f"{best.judged.speedup.value:.3g} times"
    size = best.case.batch_size
    model = _name(best) + labels.place_of(rows)(best)
    return f"Batch {size} brings most to {model}: {speedup} the rate of batch {best.reference}"


KERAS_EXAMPLES = Table(
    name="keras_examples",
    title="Example models of the Keras project, beside its published figures",
    row=ExampleRow,
    rows=_rows,
    columns=(
        Column("model", _name, numeric=False),
        labels.BACKEND,
        labels.DEVICE,
        labels.EACH_BATCH,
        Column("samples/s [95 %]", lambda r: declare.interval_of(r.samples_per_s, units.digits)),
        Column("s/epoch", "epoch_s", units.digits, rank=2),
        Column("reference", "reference", "batch {}".format, rank=3, shared=True),
        Column("speedup [95 %]", "judged.speedup", declare.speedup_of, rank=1),
        Column(
            "verdict",
            lambda row: None if row.judged is None else verdict_of(row),
            numeric=False,
            rank=1,
            verdict=lambda row: None if row.judged is None else row.judged.verdict,
        ),
        Column("published", _published),
        Column("published s/epoch", "published.epoch_s", units.digits, rank=3),
    ),
    notes=_notes,
    chart=Chart(_draw, answers=lambda rows: len({row.case.variant for row in rows}) > 1),
)
