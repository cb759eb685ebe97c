"""The table of full trainings, one row per case and epoch; the hardest test images."""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness import units
from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import Caution
from harness.analyze.published import published_epochs
from harness.analyze.training import groups, target
from harness.analyze.training.hardest import ceiling
from harness.records import Epoch, Estimate, Training
from harness.tables.declare import (
    MOST_LINES,
    Chart,
    Column,
    Limit,
    Table,
    common,
    given,
    lines_of,
    unwritten,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = ("variant", "batch_size")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One epoch of the trainings that differ in their seed alone.

    Attributes:
        epoch_s: Seconds of training, median over seeds: one disturbed epoch has no effect.
        elapsed_s: Sum of `epoch_s` so far.
        loss: Over the epoch, while the weights changed.
        val_loss: On the test set, after the epoch.
        reached: Mean epochs to the target; None where a seed misses it.
        reached_s: Mean seconds to the target.
    """

    variant: str
    batch_size: int
    optimizer: str
    device: str
    backend: str
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
    published_loss: float | None
    published_accuracy: float | None
    published_val_loss: float | None
    published_val_accuracy: float | None
    cautions: tuple[Caution, ...]
    reached: float | None = unwritten()
    reached_s: float | None = unwritten()


def _rows(analysis: Analysis) -> list[EpochRow]:
    return [row for group in groups.groups(analysis) for row in _epochs(group, analysis)]


def _epochs(group: Sequence[Training], analysis: Analysis) -> Iterator[EpochRow]:
    case, goal = group[0].recipe.case, analysis.run.target_accuracy
    published = published_epochs(group[0], analysis.run)
    reached, reached_s = _reached(group, goal)
    cautions, seconds = tuple(groups.cautions(group)), list[float]()
    for number, epochs in enumerate(zip(*(t.epochs for t in group), strict=True), 1):
        seconds.append(statistics.median(epoch.seconds for epoch in epochs))
        known = published.get(number, {})
        yield EpochRow(
            variant=case.variant,
            batch_size=case.batch_size,
            optimizer=group[0].optimizer,
            device=case.device,
            backend=case.backend,
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
            published_loss=known.get("loss"),
            published_accuracy=known.get("accuracy"),
            published_val_loss=known.get("val_loss"),
            published_val_accuracy=known.get("val_accuracy"),
            cautions=cautions,
            reached=reached,
            reached_s=reached_s,
        )


def _mean(epochs: Sequence[Epoch], name: str) -> Estimate | None:
    values = [getattr(epoch, name) for epoch in epochs]
    return None if None in values else stats.interval(values)


def _reached(
    group: Sequence[Training], goal: float | None
) -> tuple[float, float] | tuple[None, None]:
    """Return the mean epochs and seconds to the target, as in the table of effective speedup."""
    found = [None if goal is None else target.reached(t, goal) for t in group]
    known = [(n, n * groups.median_epoch(t)) for n, t in zip(found, group, strict=True) if n]
    if len(known) < len(group):
        return None, None
    return statistics.fmean(n for n, _ in known), statistics.fmean(s for _, s in known)


def figure_of(value: float) -> str:
    """Write a loss or an accuracy."""
    return f"{value:.4f}"


def with_ends(estimate: Estimate | None) -> str:
    """Write an accuracy with its interval."""
    if estimate is None:
        return units.MISSING
    known = estimate.low is not None
    ends = f" [{estimate.low:.4f}, {estimate.high:.4f}]" if known else ""
    return figure_of(estimate.value) + ends


def _value(estimate: Estimate | None) -> str:
    return given(estimate, lambda e: figure_of(e.value))


def _selected(rows: Sequence[EpochRow]) -> list[EpochRow]:
    """First and last epoch, and those with published figures."""
    return [r for r in rows if r.epoch in (1, r.epochs) or r.published_val_accuracy is not None]


def _notes(rows: Sequence[EpochRow]) -> Iterator[str]:
    yield "means over seeds; seconds are medians over seeds, without validation"
    yield "loss and accuracy: mean over the epoch, while the weights change and with dropout"
    if any(row.published_val_accuracy is not None for row in rows):
        yield "published: one training of the report that the variants come from"


_MEASURES = (
    ("val_accuracy", "test accuracy"),
    ("val_loss", "test loss"),
    ("accuracy", "accuracy in training"),
    ("loss", "loss in training"),
)


def _draw(rows: list[EpochRow], caption: str) -> "Figure":
    """Draw test accuracy, or what there is in its place, over epochs and over seconds."""
    from harness.tables import drawing

    name, label = next(
        ((n, words) for n, words in _MEASURES if all(getattr(row, n) for row in rows)),
        _MEASURES[-1],
    )
    if name == "val_accuracy" and any(row.published_val_accuracy for row in rows):
        caption += "; X: published, one training in the report that the variants come from"
    figure, ((left, right),) = drawing.grid(
        _title(rows, label), caption, columns=2, size=(drawing.WIDTH, 4.6), share="row"
    )
    alike = common(rows, ("device", "backend"))
    drawing.subtitled(left, f"{label}; {alike}")
    if any(getattr(row, name).low is not None for row in rows):
        drawing.subtitled(right, f"error bar: 95 % interval over {rows[0].seeds} seeds")
    for axes, field in ((left, "epoch"), (right, "elapsed_s")):
        axes.set_xlim(0, 1.04 * max(getattr(row, field) for row in rows))
        for index, (line, its) in enumerate(lines_of(rows, _LINE, _sometimes(rows))):
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
    cases = {(r.variant, r.batch_size, r.device, r.backend) for r in rows}
    lines = {(r.variant, r.batch_size, r.device, r.backend, r.epochs) for r in rows}
    return ("device", "backend", *(["epochs"] if len(lines) > len(cases) else []))


def _title(rows: Sequence[EpochRow], label: str) -> str:
    last = [row for row in rows if row.epoch == row.epochs]
    known = [(row.reached, row.reached_s) for row in last if row.reached and row.reached_s]
    if not known:
        return f"{label[0].upper()}{label[1:]} over epochs and over seconds"
    epochs, seconds = ([end(part) for end in (min, max)] for part in zip(*known, strict=True))
    who = "" if len(known) == len(last) else f" by {len(known)} of {len(last)}"
    return (
        f"Test accuracy {last[0].target:g} is reached{who} after {_range(epochs)} epochs, "
        f"in {_range(seconds)} s"
    )


def _range(ends: Sequence[float]) -> str:
    return " to ".join(dict.fromkeys(units.digits(end, 2) for end in ends))


def _history(
    axes: "Axes", index: int, its: list[EpochRow], fields: tuple[str, str], label: str
) -> None:
    """Draw a curve, the interval at its last epoch, and where the target is reached."""
    from harness.tables import drawing

    field, name = fields
    color, last = drawing.COLORS[index % len(drawing.COLORS)], its[-1]
    if last.reached and last.reached_s:
        epochs, seconds = (units.digits(n, 2) for n in (last.reached, last.reached_s))
        label += f": target after {epochs} epochs, {seconds} s"
    axes.plot(
        [getattr(row, field) for row in its],
        [getattr(row, name).value for row in its],
        label=label,
        markersize=3.5,
        **drawing.look(index),
    )
    end = getattr(last, name)
    bar = drawing.arms([end])
    axes.errorbar(getattr(last, field), end.value, yerr=bar, fmt="none", color=color, capsize=3)
    if name != "val_accuracy":
        return
    if field == "epoch":
        known = [(r.epoch, r.published_val_accuracy) for r in its if r.published_val_accuracy]
        for epoch, accuracy in known:
            axes.plot(epoch, accuracy, "X", color=color, markeredgecolor="black", markersize=8)
    where = last.reached if field == "epoch" else last.reached_s
    if where is not None and last.target is not None:
        axes.plot([where, where], [0, last.target], ":", color=color, linewidth=1.2)


_EXACT = 1e-4  # error below which accuracies look the same
_TICKS = (0.5, 0.8, 0.9, 0.94, 0.96, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0)


def _accuracy_scale(axes: "Axes") -> None:
    """Spread the accuracies near 1: the scale is logarithmic in the error."""
    import numpy as np

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


def _mark_target(panels: Sequence["Axes"], goal: float | None) -> None:
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
    rows=_rows,
    selected=_selected,
    columns=(
        Column("variant", lambda row: row.variant, numeric=False),
        Column("batch", lambda row: str(row.batch_size)),
        Column("optimizer", lambda row: row.optimizer, numeric=False, rank=4),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("seeds", lambda row: str(row.seeds), rank=4, shared=True),
        Column("epoch", lambda row: str(row.epoch)),
        Column("s/epoch", lambda row: units.digits(row.epoch_s), rank=2),
        Column("elapsed (s)", lambda row: units.digits(row.elapsed_s), rank=1),
        Column("loss", lambda row: _value(row.loss), rank=3),
        Column("accuracy", lambda row: _value(row.accuracy), rank=3),
        Column("test loss", lambda row: _value(row.val_loss), rank=2),
        Column("published", lambda row: given(row.published_val_loss, figure_of), rank=5),
        Column("test accuracy [95 %]", lambda row: with_ends(row.val_accuracy)),
        Column("published", lambda row: given(row.published_val_accuracy, figure_of)),
    ),
    notes=_notes,
    chart=Chart(
        draw=_draw,
        limits=(
            Limit(
                MOST_LINES,
                "lines",
                lambda r: (r.variant, r.batch_size, r.epochs, r.device, r.backend),
            ),
        ),
    ),
)

_PER_ROW = 8
_IMAGES = 4 * _PER_ROW


def hardest_digits(analysis: Analysis, caption: str) -> Iterator[tuple[str, "Figure"]]:
    """Draw the test images that most trainings get wrong, with label and answer."""
    from harness.tables import drawing

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
