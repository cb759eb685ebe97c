"""The table of full trainings, one row per case and epoch; the hardest test images."""

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness import units
from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import Caution
from harness.analyze.published import published_epochs
from harness.analyze.training import groups, target
from harness.analyze.training.hardest import ceiling
from harness.records import Case, Epoch, Estimate, Training
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns

_CASE = ("variant", "batch_size", "device", "backend", "version")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One epoch of the trainings that differ in their seed alone.

    Attributes:
        epoch_s: Seconds of training, median over seeds: one disturbed epoch has no effect.
        elapsed_s: Sum of `epoch_s` so far.
        loss: Over the epoch, while the weights changed; `val_loss` is of the test set after it.
        reached: Mean epochs and seconds to the target; None where a seed misses it.
    """

    case: Case = columns("variant batch_size device backend version")
    optimizer: str
    epoch: int
    epochs: int
    seeds: int
    target: float | None
    epoch_s: float
    elapsed_s: float
    loss: Estimate | None
    accuracy: Estimate | None
    val_loss: Estimate | None
    val_accuracy: Estimate | None
    validation_s: float
    published: Mapping[str, float] = columns(
        "published_loss=loss published_accuracy=accuracy published_val_loss=val_loss "
        "published_val_accuracy=val_accuracy"
    )
    cautions: tuple[Caution, ...]
    reached: tuple[float, float] | None = columns()


def _epochs(group: Sequence[Training], analysis: Analysis) -> Iterator[EpochRow]:
    goal, published = analysis.run.target_accuracy, published_epochs(group[0], analysis.run)
    reached = _reached(group, goal)
    cautions, seconds = tuple(groups.cautions(group, analysis.run.machine)), list[float]()
    for number, epochs in enumerate(zip(*(t.epochs for t in group), strict=True), 1):
        seconds.append(statistics.median(epoch.seconds for epoch in epochs))
        yield EpochRow(
            case=group[0].recipe.case,
            optimizer=group[0].optimizer,
            epoch=number,
            epochs=group[0].recipe.epochs,
            seeds=len(group),
            target=goal,
            epoch_s=seconds[-1],
            elapsed_s=sum(seconds),
            loss=_mean(epochs, "loss"),
            accuracy=_mean(epochs, "accuracy"),
            val_loss=_mean(epochs, "val_loss"),
            val_accuracy=_mean(epochs, "val_accuracy"),
            validation_s=statistics.fmean(e.validation_seconds for e in epochs),
            published=published.get(number, {}),
            cautions=cautions,
            reached=reached,
        )


def _mean(epochs: Sequence[Epoch], name: str) -> Estimate | None:
    values = [getattr(epoch, name) for epoch in epochs]
    return None if None in values else stats.interval(values)


def _reached(group: Sequence[Training], goal: float | None) -> tuple[float, float] | None:
    """Return the mean epochs and seconds to the target, as in the table of effective speedup."""
    found = [None if goal is None else target.reached(t, goal) for t in group]
    known = [(n, n * groups.median_epoch(t)) for n, t in zip(found, group, strict=True) if n]
    if len(known) < len(group):
        return None
    return statistics.fmean(n for n, _ in known), statistics.fmean(s for _, s in known)


_figure = "{:.4f}".format  # a loss or an accuracy


def with_ends(estimate: Estimate) -> str:
    """Write an accuracy with its interval."""
    return declare.interval_of(estimate, _figure)


def _selected(rows: Sequence[EpochRow]) -> list[EpochRow]:
    """First and last epoch, and those with published figures."""
    return [row for row in rows if row.epoch in (1, row.epochs) or "val_accuracy" in row.published]


def _notes(rows: Sequence[EpochRow]) -> Iterator[str]:
    yield "means over seeds; seconds are medians over seeds, without validation"
    yield "loss and accuracy: mean over the epoch, while the weights change and with dropout"
    if any("val_accuracy" in row.published for row in rows):
        yield "published: one training of the report that the variants come from"


_MEASURES = (
    ("val_accuracy", "test accuracy"),
    ("val_loss", "test loss"),
    ("accuracy", "accuracy in training"),
    ("loss", "loss in training"),
)


def _draw(rows: list[EpochRow], caption: str) -> drawing.Figure:
    """Draw test accuracy, or what there is in its place, over epochs and over seconds."""
    name, label = next(
        ((n, words) for n, words in _MEASURES if all(getattr(row, n) for row in rows)),
        _MEASURES[-1],
    )
    if name == "val_accuracy" and any(row.published.get("val_accuracy") for row in rows):
        caption += "; X: published, one training in the report that the variants come from"
    figure, ((left, right),) = drawing.grid(
        _title(rows, label), caption, columns=2, size=(drawing.WIDTH, 4.6), share="row"
    )
    drawing.subtitled(left, f"{label}; {labels.common(rows, ('device', 'backend'))}")
    if any(getattr(row, name).low is not None for row in rows):
        drawing.subtitled(right, f"error bar: 95 % interval over {rows[0].seeds} seeds")
    for axes, field in ((left, "epoch"), (right, "elapsed_s")):
        axes.set_xlim(0, 1.04 * max(getattr(row, field) for row in rows))
        lines = labels.lines_of(rows, ("variant", "batch_size"), _sometimes(rows))
        for index, line, its in lines:
            _history(axes, index, its, (field, name), line)
    if "accuracy" in name:
        _accuracy_scale(left)
    if name == "val_accuracy":
        _mark_target((left, right), rows[0].target)
    left.set_ylabel(label)
    left.set_xlabel("epochs")
    right.set_xlabel("seconds of training, without validation")
    drawing.legend_below(figure, left.get_legend_handles_labels()[0])
    return figure


def _sometimes(rows: Sequence[EpochRow]) -> tuple[str, ...]:
    """What tells lines apart where rows differ; epochs only if nothing else does."""
    cases, lines = (
        len(declare.grouped(rows, declare.key_of(*by))) for by in (_CASE, (*_CASE, "epochs"))
    )
    return ("device", "backend", "version", *(["epochs"] if lines > cases else []))


def _title(rows: Sequence[EpochRow], label: str) -> str:
    last = [row for row in rows if row.epoch == row.epochs]
    known = [row.reached for row in last if row.reached]
    if not known:
        return f"{label[0].upper()}{label[1:]} over epochs and over seconds"
    epochs, seconds = (declare.span(part, _two_digits) for part in zip(*known, strict=True))
    who = "" if len(known) == len(last) else f" by {len(known)} of {len(last)}"
    return f"Test accuracy {last[0].target:g} is reached{who} after {epochs} epochs, in {seconds} s"


def _two_digits(value: float) -> str:
    return units.digits(value, 2)


def _history(
    axes: drawing.Axes, index: int, its: list[EpochRow], fields: tuple[str, str], label: str
) -> None:
    """Draw a curve, the interval at its last epoch, and where the target is reached."""
    field, name = fields
    last, look = its[-1], drawing.look(index)
    if last.reached:
        epochs, seconds = map(_two_digits, last.reached)
        label += f": target after {epochs} epochs, {seconds} s"
    places = [getattr(row, field) for row in its]
    values = [getattr(row, name).value for row in its]
    axes.plot(places, values, label=label, markersize=3.5, **look)
    color, end = look["color"], getattr(last, name)
    bar = drawing.arms([end])
    axes.errorbar(places[-1], end.value, yerr=bar, fmt="none", color=color, capsize=3)
    if name != "val_accuracy":
        return
    for row in its if field == "epoch" else ():
        if known := row.published.get("val_accuracy"):
            axes.plot(row.epoch, known, "X", color=color, markeredgecolor="black", markersize=8)
    if last.reached and last.target is not None:
        where = last.reached[0 if field == "epoch" else 1]
        axes.plot([where, where], [0, last.target], ":", color=color, linewidth=1.2)


_EXACT = 1e-4  # error below which accuracies look the same
_TICKS = (0.5, 0.8, 0.9, 0.94, 0.96, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)


def _accuracy_scale(axes: drawing.Axes) -> None:
    """Spread the accuracies near 1: the scale is logarithmic in the error."""
    values = [y for line in axes.lines for y in np.atleast_1d(line.get_ydata()) if y > 0]
    low, high = min(values), max(values)
    axes.set_yscale(
        "function",
        functions=(
            lambda y: -np.log10(np.maximum(1 - np.asarray(y), 0) + _EXACT),
            lambda z: 1 + _EXACT - 10.0 ** -np.asarray(z),
        ),
    )
    axes.set_ylim(1 - 1.15 * (1 - low), 1 - 0.8 * (1 - high))
    ticks = [tick for tick in _TICKS if low - 0.01 <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])


def _mark_target(panels: Sequence[drawing.Axes], goal: float | None) -> None:
    if goal is None:
        return
    for axes in panels:
        axes.axhline(goal, color="#777777", linewidth=0.8, linestyle="--")
        end = axes.get_xlim()[1]
        axes.text(end, goal, f"target {goal:g}", ha="right", va="bottom", fontsize=7.5)


CONVERGENCE = Table(
    name="convergence",
    title="Full trainings",
    row=EpochRow,
    rows=lambda analysis: [row for g in groups.groups(analysis) for row in _epochs(g, analysis)],
    selected=_selected,
    csv="variant batch_size optimizer *",
    columns=(
        labels.VARIANT,
        labels.EACH_BATCH,
        Column("optimizer", "optimizer", numeric=False, rank=4),
        labels.BACKEND,
        labels.DEVICE,
        labels.VERSION,
        Column("seeds", "seeds", rank=4, shared=True),
        Column("epoch", "epoch"),
        Column("s/epoch", "epoch_s", units.digits, rank=2),
        Column("elapsed (s)", "elapsed_s", units.digits, rank=1),
        Column("loss", "loss.value", _figure, rank=3),
        Column("accuracy", "accuracy.value", _figure, rank=3),
        Column("test loss", "val_loss.value", _figure, rank=2),
        Column("published", "published.val_loss", _figure, rank=5),
        Column("test accuracy [95 %]", "val_accuracy", with_ends),
        Column("published", "published.val_accuracy", _figure),
    ),
    notes=_notes,
    chart=Chart(_draw, (Limit(declare.MOST_LINES, "lines", (*_CASE, "epochs")),)),
)

_PER_ROW = 8
_IMAGES = 4 * _PER_ROW


def hardest_digits(analysis: Analysis, caption: str) -> Iterator[tuple[str, drawing.Figure]]:
    """Draw the test images that most trainings get wrong, with label and answer."""
    found = ceiling(analysis, _IMAGES)
    if found is None or not found.hardest:
        return
    share = 100 * found.wrong_always / found.test_samples
    told = (
        f"{units.count(found.wrong_always)} of {units.count(found.test_samples)} test images are "
        f"wrong in all trainings of {found.variants} variants, {units.count(found.wrong_ever)} in "
        f"at least one. No variant exceeds an accuracy of {100 - share:.2f} %. In brackets: "
        "trainings with a wrong answer, and the mean probability of that answer. "
    )
    rows = -(-len(found.hardest) // _PER_ROW)
    figure, panels = drawing.grid(
        f"{share:.2f} % of the test images are wrong in all {found.trainings} trainings",
        told + caption,
        rows=rows,
        columns=_PER_ROW,
        size=(drawing.WIDTH, 1.35 * rows + 0.3),
    )
    cells = [axes for row in panels for axes in row]
    for axes in cells:
        axes.axis("off")
    for axes, hard in zip(cells, found.hardest, strict=False):
        axes.imshow(hard.image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(
            f"{hard.label}, taken for {hard.predicted}\n({hard.trainings}/{found.trainings}, "
            f"{100 * hard.confidence:.0f} %)",
            fontsize=6.5,
        )
    yield "hardest_digits", figure
