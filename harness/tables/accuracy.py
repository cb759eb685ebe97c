"""The tables of accuracy and of effective speedup of full trainings."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.training import accuracy, target
from harness.analyze.training.accuracy import FEWEST_SEEDS, MARGIN
from harness.analyze.training.accuracy import Verdict as AccuracyVerdict
from harness.analyze.training.groups import Pair, pairs
from harness.analyze.verdicts import DEFINITION, Verdict
from harness.records import Estimate
from harness.tables.declare import MOST_BARS, Chart, Column, Limit, Table, ends, given, speedup_of
from harness.tables.trainings import with_ends

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """A case and its reference, on the same test samples.

    Attributes:
        accuracy: Share of the test samples that the case gets right.
        difference: Accuracy of the case minus that of the reference.
        only_case_right: Test samples that the case alone gets right, mean over seeds.
        p_value: McNemar's test; for one seed.
    """

    variant: str
    batch_size: int
    device: str
    backend: str
    epochs: int
    optimizer: str
    reference: str
    reference_batch_size: int
    reference_epochs: int
    seeds: int
    test_samples: int | None
    accuracy: Estimate | None = ends("accuracy_low", "accuracy_high")
    reference_accuracy: float | None
    difference: Estimate | None = ends("low", "high")
    only_case_right: float | None
    only_reference_right: float | None
    p_value: float | None
    verdict: AccuracyVerdict | None
    smallest_visible: float | None
    published: float | None
    reason: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRow:
    """How much sooner a case is as accurate as its reference; see `target.compare`."""

    variant: str
    batch_size: int
    device: str
    backend: str
    reference: str
    reference_batch_size: int
    target: float
    seeds: int
    epochs_to_target: float | None
    reference_epochs_to_target: float | None
    target_s: float | None
    reference_target_s: float | None
    epoch_speedup: Estimate = ends("epoch_low", "epoch_high")
    speedup: Estimate | None = ends("low", "high")
    verdict: Verdict | None
    reason: str | None


def _sides(its: Sequence[Pair]) -> dict[str, Any]:
    mine, other = (training.recipe.case for training in its[0])
    return {
        "variant": mine.variant,
        "batch_size": mine.batch_size,
        "device": mine.device,
        "backend": mine.backend,
        "reference": other.variant,
        "reference_batch_size": other.batch_size,
        "seeds": len(its),
    }


def _accuracies(analysis: Analysis) -> list[AccuracyRow]:
    return [_accuracy_row(its, analysis) for its in pairs(analysis)]


def _accuracy_row(its: Sequence[Pair], analysis: Analysis) -> AccuracyRow:
    found, (mine, other) = accuracy.compare(its, analysis), its[0]
    return AccuracyRow(
        **_sides(its),
        epochs=mine.recipe.epochs,
        optimizer=mine.optimizer,
        reference_epochs=other.recipe.epochs,
        test_samples=found.test_samples,
        accuracy=found.accuracy,
        reference_accuracy=found.reference_accuracy,
        difference=found.difference,
        only_case_right=found.only_case_right,
        only_reference_right=found.only_reference_right,
        p_value=found.p_value,
        verdict=found.verdict,
        smallest_visible=found.smallest_visible,
        published=found.published,
        reason=found.reason,
    )


def _effective(analysis: Analysis) -> list[EffectiveRow]:
    goal = analysis.run.target_accuracy
    if goal is None:
        return []
    return [_effective_row(its, goal) for its in pairs(analysis)]


def _effective_row(its: Sequence[Pair], goal: float) -> EffectiveRow:
    found = target.compare(its, goal)
    return EffectiveRow(
        **_sides(its),
        target=goal,
        epochs_to_target=found.epochs,
        reference_epochs_to_target=found.reference_epochs,
        target_s=found.seconds,
        reference_target_s=found.reference_seconds,
        epoch_speedup=found.epoch_speedup,
        speedup=found.speedup,
        verdict=found.verdict,
        reason=found.reason,
    )


def _case(row: AccuracyRow | EffectiveRow) -> str:
    return f"{row.variant} {row.batch_size}"


def _reference(row: AccuracyRow | EffectiveRow) -> str:
    return f"{row.reference} {row.reference_batch_size}"


def points(row: AccuracyRow) -> str:
    """Write the difference of accuracies in percentage points, with its interval."""
    found = row.difference
    if found is None:
        return units.MISSING
    if found.low is None or found.high is None:
        return f"{100 * found.value:+.2f}"
    return f"{100 * found.value:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"


def _both(mine: float | None, other: float | None) -> str:
    if mine is None or other is None:
        return units.MISSING
    return f"{units.digits(mine)} / {units.digits(other)}"


def _accuracy_notes(rows: Sequence[AccuracyRow]) -> Iterator[str]:
    samples = [row.test_samples for row in rows if row.test_samples]
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
        if row.p_value is not None:
            yield f"McNemar's test, {_case(row)}: p = {row.p_value:.2g}"
    unseen = [
        f"{100 * row.smallest_visible:.2f} ({_case(row)})"
        for row in rows
        if row.verdict == "undecided" and row.smallest_visible is not None
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
    if any(row.speedup and row.speedup.low is not None for row in rows):
        yield f"verdict: {DEFINITION}"
    yield from _reasons(rows)


def _reasons(rows: Sequence[AccuracyRow] | Sequence[EffectiveRow]) -> Iterator[str]:
    return (f"{_case(row)}: {row.reason}" for row in rows if row.reason)


def _draw_accuracy(rows: list[AccuracyRow], caption: str) -> "Figure":
    """Draw the difference of each pair beside the margin, the most accurate on top."""
    from harness.tables import drawing

    known = [(row, _points(row.difference)) for row in rows if row.difference is not None]
    known.sort(key=lambda pair: -pair[1].value)
    margin, height = 100 * MARGIN, 1.7 + 0.45 * len(known)
    subtitle = (
        "difference of test accuracy from the reference, with 95 % interval; gray: within "
        f"{margin:g} points"
    )
    figure, axes = drawing.single(_accuracy_title(rows), subtitle, caption, height)
    axes.axvspan(-margin, margin, color="#eeeeee", zorder=0)
    axes.axvline(0, color="black", linewidth=0.8)
    color = drawing.COLORS[0]
    for place, (row, found) in enumerate(known):
        bar = drawing.arms([found])
        axes.errorbar(found.value, place, xerr=bar, fmt="o", color=color, capsize=4)
        axes.text(
            found.value, place - 0.1, f"{found.value:+.2f}", ha="center", va="bottom", fontsize=7.5
        )
        if row.published is not None:
            label = "published: one training of each"
            axes.plot(100 * row.published, place, "X", color="black", markersize=6, label=label)
    drawing.horizontal(axes, [f"{_case(row)}\nagainst {_reference(row)}" for row, _ in known])
    axes.set_xlabel("←  less accurate      percentage points      more accurate  →")
    if handles := axes.get_legend_handles_labels()[0][:1]:
        drawing.legend_below(figure, handles)
    return figure


def _points(difference: Estimate) -> Estimate:
    low, high = (None if e is None else 100 * e for e in (difference.low, difference.high))
    return Estimate(100 * difference.value, low, high, difference.n)


def _accuracy_title(rows: Sequence[AccuracyRow]) -> str:
    shown = [row for row in rows if row.verdict in ("better", "worse") and row.difference]
    if not shown:
        judged = any(row.verdict for row in rows)
        same = all(row.verdict == "same" for row in rows)
        if same:
            return f"Equally accurate within {100 * MARGIN:g} points"
        return "No difference of test accuracy shown" if judged else "Test accuracy, not judged"
    largest = max(shown, key=lambda row: abs(row.difference.value if row.difference else 0))
    points = 100 * abs(largest.difference.value if largest.difference else 0)
    word = "more" if largest.verdict == "better" else "less"
    return (
        f"{largest.variant} at batch {largest.batch_size} is {points:.2f} points {word} accurate "
        f"than {largest.reference} at batch {largest.reference_batch_size}"
    )


def _draw_effective(rows: list[EffectiveRow], caption: str) -> "Figure":
    """Draw the speedup per epoch beside that to the target, the largest on top."""
    from harness.tables import drawing

    rows = sorted(rows, key=lambda r: -(r.speedup.value if r.speedup else 0.0))
    figure, axes = drawing.single(
        _effective_title(rows),
        "speedup over the reference (log scale), with 95 % interval over seeds",
        caption,
        1.9 + 0.55 * len(rows),
    )
    goal = f"to test accuracy {rows[0].target:g}"
    bars = (
        (-0.19, "per epoch", drawing.GRAY, "//", [r.epoch_speedup for r in rows]),
        (0.19, goal, drawing.COLORS[0], "", [r.speedup for r in rows]),
    )
    for shift, label, color, hatch, estimates in bars:
        for place, found in enumerate(estimates):
            y = place + shift
            if found is None:
                drawing.beside(axes, "target not reached", 1.0, y)
                continue
            looks: Any = {"color": color, "hatch": hatch, **drawing.EDGE}
            axes.barh(y, found.value - 1, 0.36, left=1.0, label=label, **looks)
            bar = drawing.arms([found])
            axes.errorbar(found.value, y, xerr=bar, fmt="none", color="black", capsize=3)
            drawing.beside(axes, units.ratio(found.value), max(1.0, drawing.reach([found])[1]), y)
    known = [found for *_, estimates in bars for found in estimates if found is not None]
    low, high = drawing.reach(known)
    drawing.ratio_scale(axes, "x", min(0.95, 0.93 * low), max(1.05, high) * 1.2)
    drawing.horizontal(axes, [f"{_case(row)}\nagainst {_reference(row)}" for row in rows])
    handles = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    drawing.legend_below(figure, list(handles.values()))
    return figure


def _effective_title(rows: Sequence[EffectiveRow]) -> str:
    goal = f"test accuracy {rows[0].target:g}"
    for verdict, word in (("faster", "sooner"), ("slower", "later")):
        found = [row for row in rows if row.verdict == verdict and row.speedup]
        if found:
            best = found[0] if verdict == "faster" else found[-1]
            ratio = speedup_of(best.speedup).split(" ")[0]
            end = f"reaches {goal} {word} than {_reference(best)}: {ratio} as fast"
            return f"{_case(best)} {end}"
    return f"No variant is shown to reach {goal} sooner than its reference"


_SIDES: tuple[Column[Any], ...] = (
    Column("variant", _case, numeric=False),
    Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
    Column("device", lambda row: row.device, numeric=False, shared=True),
    Column("reference", _reference, numeric=False),
)
_SEEDS = Column[Any]("seeds", lambda row: str(row.seeds), rank=4, shared=True)
_VERDICT = Column[Any]("verdict", lambda row: given(row.verdict), numeric=False)

ACCURACY = Table(
    name="accuracy",
    title="Accuracy on the same test samples, seed by seed",
    row=AccuracyRow,
    rows=_accuracies,
    columns=(
        *_SIDES,
        Column("epochs", lambda row: f"{row.epochs} / {row.reference_epochs}", rank=3),
        _SEEDS,
        Column("test accuracy [95 %]", lambda row: with_ends(row.accuracy), rank=2),
        Column("points [95 %]", points),
        Column(
            "only right",
            lambda row: _both(row.only_case_right, row.only_reference_right),
            rank=3,
        ),
        _VERDICT,
        Column("published", lambda r: given(r.published, lambda v: f"{100 * v:+.2f}"), rank=1),
    ),
    notes=_accuracy_notes,
    name_of=_case,
    chart=Chart(
        draw=_draw_accuracy,
        limits=(Limit(MOST_BARS, "rows", effect=lambda r: r.difference and r.difference.value),),
        shows=lambda row: row.difference is not None,
    ),
)
EFFECTIVE_SPEEDUP = Table(
    name="effective_speedup",
    title="Effective speedup: time to the same accuracy",
    row=EffectiveRow,
    rows=_effective,
    columns=(
        *_SIDES,
        Column("target", lambda row: f"{row.target:g}", shared=True),
        _SEEDS,
        Column(
            "epochs to target",
            lambda row: _both(row.epochs_to_target, row.reference_epochs_to_target),
            rank=2,
        ),
        Column(
            "seconds to target", lambda row: _both(row.target_s, row.reference_target_s), rank=2
        ),
        Column("speedup per epoch [95 %]", lambda row: speedup_of(row.epoch_speedup), rank=1),
        Column("speedup to target [95 %]", lambda row: speedup_of(row.speedup)),
        _VERDICT,
    ),
    notes=_effective_notes,
    name_of=_case,
    chart=Chart(
        draw=_draw_effective,
        limits=(
            Limit(
                MOST_BARS,
                "pairs of bars",
                effect=lambda r: r.speedup and math.log(r.speedup.value),
            ),
        ),
    ),
)
