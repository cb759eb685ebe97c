"""The tables of accuracy and of effective speedup of full trainings."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.training import accuracy, target
from harness.analyze.training.accuracy import FEWEST_SEEDS, MARGIN
from harness.analyze.training.groups import Pair, pairs
from harness.analyze.training.target import ToTarget
from harness.analyze.verdicts import DEFINITION
from harness.records import Case, Estimate, Training
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, case_name, columns, speedup_of
from harness.tables.training.convergence import with_ends


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A case and its reference, each trained in full."""

    case: Case = columns("variant batch_size device backend")
    reference: Case = columns(
        "reference=variant reference_batch_size=batch_size reference_version=version"
    )
    seeds: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow(PairRow):
    """How accurate both are on the same test samples."""

    mine: Training = columns("epochs=recipe.epochs optimizer")
    other: Training = columns("reference_epochs=recipe.epochs")
    found: accuracy.Compared = columns(
        f"test_samples {declare.estimate('accuracy', 'accuracy')} reference_accuracy "
        f"{declare.estimate('difference', 'difference', 'low', 'high')} only_case_right "
        "only_reference_right p_value verdict smallest_visible published reason"
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRow(PairRow):
    """How much sooner the case is as accurate as its reference."""

    target: float
    found: ToTarget = columns(
        "epochs_to_target=epochs reference_epochs_to_target=reference_epochs target_s=seconds "
        "reference_target_s=reference_seconds "
        f"{declare.estimate('epoch_speedup', 'epoch_speedup', 'epoch_low', 'epoch_high')} "
        f"{declare.RATIO} verdict reason"
    )


def _sides(its: Sequence[Pair]) -> dict[str, Any]:
    case, reference = (training.recipe.case for training in its[0])
    return {"case": case, "reference": reference, "seeds": len(its)}


def _accuracies(analysis: Analysis) -> list[AccuracyRow]:
    return [
        AccuracyRow(
            **_sides(its), mine=its[0][0], other=its[0][1], found=accuracy.compare(its, analysis)
        )
        for its in pairs(analysis)
    ]


def _effective(analysis: Analysis) -> list[EffectiveRow]:
    goal = analysis.run.target_accuracy
    if goal is None:
        return []
    return [
        EffectiveRow(**_sides(its), target=goal, found=target.compare(its, goal))
        for its in pairs(analysis)
    ]


def _reference(row: PairRow) -> str:
    return f"{row.reference.variant} {row.reference.batch_size}{_at(row)}"


def _at(row: PairRow) -> str:
    """Name the version of a reference, if it is another."""
    return f" at {row.reference.version}" if row.reference.version else ""


def _names(rows: Sequence[PairRow]) -> list[str]:
    return [f"{case_name(row)}\nagainst {_reference(row)}" for row in rows]


def points(found: Estimate) -> str:
    """Write a difference of accuracies in percentage points, with its interval."""
    return declare.interval_of(found.times(100), "{:+.2f}".format)


def _both(*names: str) -> Callable[[Any], str | None]:
    """Return what writes two values of a comparison: those of the case and of its reference."""

    def both(row: AccuracyRow | EffectiveRow) -> str | None:
        values = [getattr(row.found, name) for name in names]
        return None if None in values else " / ".join(map(units.digits, values))

    return both


def _accuracy_notes(rows: Sequence[AccuracyRow]) -> Iterator[str]:
    samples = [row.found.test_samples for row in rows if row.found.test_samples]
    if samples:
        yield (
            f"points: percentage points of accuracy on {units.count(max(samples))} test samples, "
            f"the variant minus its reference; same: within {100 * MARGIN:g}; better or worse: "
            "the whole interval on one side of 0; else undecided"
        )
        yield "only right: test samples that only one of the two gets right, mean over seeds"
    yield "a / b: the variant / its reference"
    if any(row.seeds < FEWEST_SEEDS for row in rows):
        yield f"fewer than {FEWEST_SEEDS} seeds: the result holds for these trained models only"
    for row in rows:
        if row.found.p_value is not None:
            yield f"McNemar's test, {case_name(row)}: p = {row.found.p_value:.2g}"
    unseen = [
        f"{100 * row.found.smallest_visible:.2f} ({case_name(row)})"
        for row in rows
        if row.found.verdict == "undecided" and row.found.smallest_visible is not None
    ]
    if unseen:
        yield (
            "undecided: smallest difference in points that trainings like these find with 80 % "
            f"probability: {', '.join(unseen)}"
        )
    yield from _reasons(rows)


def _effective_notes(rows: Sequence[EffectiveRow]) -> Iterator[str]:
    yield (
        "a / b: the variant / its reference, means over seeds; seconds: epochs times the median "
        "epoch"
    )
    yield (
        "speedup = speedup per epoch × (epochs of the reference / epochs of the variant); first "
        "epochs are left out of the speedup per epoch"
    )
    if any(row.found.speedup and row.found.speedup.low is not None for row in rows):
        yield f"verdict: {DEFINITION}"
    yield from _reasons(rows)


def _reasons(rows: Sequence[AccuracyRow] | Sequence[EffectiveRow]) -> Iterator[str]:
    return (f"{case_name(row)}: {row.found.reason}" for row in rows if row.found.reason)


def _draw_accuracy(rows: list[AccuracyRow], caption: str) -> drawing.Figure:
    """Draw the difference of each pair beside the margin, the most accurate on top."""
    known = [(row, row.found.difference.times(100)) for row in rows if row.found.difference]
    known.sort(key=lambda pair: -pair[1].value)
    margin, height = 100 * MARGIN, 1.7 + 0.45 * len(known)
    subtitle = (
        "difference of test accuracy from the reference, with 95 % interval; gray: within "
        f"{margin:g} points"
    )
    figure, axes = drawing.single(_accuracy_title(rows), subtitle, caption, height)
    axes.axvspan(-margin, margin, color="#eeeeee", zorder=0)
    axes.axvline(0, color="black", linewidth=0.8)
    for place, (row, found) in enumerate(known):
        drawing.interval(axes, found, place, fmt="o", color=drawing.COLORS[0], capsize=4)
        looks: Any = {"ha": "center", "va": "bottom", "fontsize": 7.5}
        axes.text(found.value, place - 0.1, f"{found.value:+.2f}", **looks)
        if row.found.published is not None:
            label = "published: one training of each"
            axes.plot(100 * row.found.published, place, "X", color="black", label=label)
    drawing.horizontal(axes, _names([row for row, _ in known]))
    axes.set_xlabel("←  less accurate      percentage points      more accurate  →")
    if handles := axes.get_legend_handles_labels()[0][:1]:
        drawing.legend_below(figure, handles)
    return figure


def _accuracy_title(rows: Sequence[AccuracyRow]) -> str:
    verdicts = [row.found.verdict for row in rows]
    if all(verdict == "same" for verdict in verdicts):
        return f"Equally accurate within {100 * MARGIN:g} points"
    shown = [
        (abs(row.found.difference.value), row)
        for row in rows
        if row.found.verdict in ("better", "worse") and row.found.difference
    ]
    if not any(verdicts):
        return "Test accuracy, not judged"
    if not shown:
        return "No difference of test accuracy shown"
    most, row = max(shown, key=lambda pair: pair[0])
    word = "more" if row.found.verdict == "better" else "less"
    return (
        f"{row.case.variant} at batch {row.case.batch_size} is {100 * most:.2f} points {word} "
        f"accurate than {row.reference.variant} at batch {row.reference.batch_size}{_at(row)}"
    )


def _draw_effective(rows: list[EffectiveRow], caption: str) -> drawing.Figure:
    """Draw the speedup per epoch beside that to the target, the largest on top."""
    rows = sorted(rows, key=lambda r: -(r.found.speedup.value if r.found.speedup else 0.0))
    subtitle = "speedup over the reference (log scale), with 95 % interval over seeds"
    height = 1.9 + 0.55 * len(rows)
    figure, axes = drawing.single(_effective_title(rows), subtitle, caption, height)
    goal = f"to test accuracy {rows[0].target:g}"
    bars = (
        (-0.19, "per epoch", drawing.GRAY, "//", [r.found.epoch_speedup for r in rows]),
        (0.19, goal, drawing.COLORS[0], "", [r.found.speedup for r in rows]),
    )
    for shift, label, color, hatch, estimates in bars:
        for place, found in enumerate(estimates):
            y = place + shift
            if found is None:
                drawing.beside(axes, "target not reached", 1.0, y)
                continue
            looks: Any = {"color": color, "hatch": hatch, "label": label, **drawing.EDGE}
            axes.barh(y, found.value - 1, 0.36, left=1.0, **looks)
            drawing.interval(axes, found, y)
            drawing.beside(axes, units.ratio(found.value), max(1.0, drawing.reach([found])[1]), y)
    known = [found for *_, estimates in bars for found in estimates if found is not None]
    low, high = drawing.reach(known)
    drawing.ratio_scale(axes, "x", min(0.95, 0.93 * low), max(1.05, high) * 1.2)
    drawing.horizontal(axes, _names(rows))
    handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    drawing.legend_below(figure, list(handles.values()))
    return figure


def _effective_title(rows: Sequence[EffectiveRow]) -> str:
    goal = f"test accuracy {rows[0].target:g}"
    for verdict, word, end in (("faster", "sooner", 0), ("slower", "later", -1)):
        found = [row for row in rows if row.found.verdict == verdict and row.found.speedup]
        if found:
            row = found[end]
            ratio = speedup_of(row.found.speedup).split(" ")[0]
            return f"{case_name(row)} reaches {goal} {word} than {_reference(row)}: {ratio} as fast"
    return f"No variant is shown to reach {goal} sooner than its reference"


def _effect(row: EffectiveRow) -> float | None:
    return math.log(row.found.speedup.value) if row.found.speedup else None


_SIDES: tuple[Column[Any], ...] = (
    Column("variant", case_name, numeric=False),
    labels.BACKEND,
    labels.DEVICE,
    Column("reference", _reference, numeric=False),
)
_SEEDS = Column[Any]("seeds", "seeds", rank=4, shared=True)
_VERDICT = Column[Any]("verdict", "found.verdict", numeric=False)

ACCURACY = Table(
    name="accuracy",
    title="Accuracy on the same test samples, seed by seed",
    row=AccuracyRow,
    rows=_accuracies,
    csv=(
        "variant batch_size device backend epochs optimizer reference reference_batch_size "
        "reference_epochs *"
    ),
    columns=(
        *_SIDES,
        Column("epochs", lambda r: f"{r.mine.recipe.epochs} / {r.other.recipe.epochs}", rank=3),
        _SEEDS,
        Column("test accuracy [95 %]", "found.accuracy", with_ends, rank=2),
        Column("points [95 %]", "found.difference", points),
        Column("only right", _both("only_case_right", "only_reference_right"), rank=3),
        _VERDICT,
        Column("published", "found.published", lambda v: f"{100 * v:+.2f}", rank=1),
    ),
    notes=_accuracy_notes,
    chart=Chart(
        draw=_draw_accuracy,
        limits=(Limit(declare.MOST_BARS, "rows", effect="found.difference.value"),),
        shows=lambda row: row.found.difference is not None,
    ),
)
EFFECTIVE_SPEEDUP = Table(
    name="effective_speedup",
    title="Effective speedup: time to the same accuracy",
    row=EffectiveRow,
    rows=_effective,
    csv="variant batch_size device backend reference reference_batch_size target *",
    columns=(
        *_SIDES,
        Column("target", "target", "{:g}".format, shared=True),
        _SEEDS,
        Column("epochs to target", _both("epochs", "reference_epochs"), rank=2),
        Column("seconds to target", _both("seconds", "reference_seconds"), rank=2),
        Column("speedup per epoch [95 %]", "found.epoch_speedup", speedup_of, rank=1),
        Column("speedup to target [95 %]", "found.speedup", speedup_of),
        _VERDICT,
    ),
    notes=_effective_notes,
    chart=Chart(
        draw=_draw_effective,
        limits=(Limit(declare.MOST_BARS, "pairs of bars", effect=_effect),),
    ),
)
