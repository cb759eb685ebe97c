"""Run → tidy DataFrames of its trainings in full: epochs, accuracy, time to a target."""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from harness import units
from harness.analyze import accuracy, legacy, published, roles, stats, verdicts
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import SEPARATOR, changed, disturbed_cpus, stopped_by_quota
from harness.records import Case, Epoch, Training

FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
CONVERGENCE = [
    "variant", "batch_size", "optimizer", "device", "backend", "epoch", "epochs", "seeds",
    "target",
    "epoch_s", "elapsed_s", *(f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")),
    "validation_s", *(f"published_{name}" for name in FIGURES), "cautions",
]  # fmt: skip
ACCURACY = [
    "variant", "batch_size", "device", "backend", "epochs", "optimizer", "reference",
    "reference_batch_size", "reference_epochs", "seeds", "test_samples", "accuracy", "accuracy_low",
    "accuracy_high", "reference_accuracy", "difference", "low", "high", "only_case_right",
    "only_reference_right", "p_value", "verdict", "smallest_visible", "published", "reason",
]  # fmt: skip
EFFECTIVE = [
    "variant", "batch_size", "device", "backend", "reference", "reference_batch_size", "target",
    "seeds", "epochs_to_target", "reference_epochs_to_target", "target_s", "reference_target_s",
    "epoch_speedup", "epoch_low", "epoch_high", "speedup", "low", "high", "verdict", "reason",
]  # fmt: skip
_NOT_INDEPENDENT = "no interval: the test images of digits are shifts of 360 originals"
_FAR_LONGER = 1.5


def groups(analysis: Analysis) -> list[list[Training]]:
    """Trainings that differ in their seed alone, in the order of seeds."""
    found: dict[tuple[Case, int], list[Training]] = defaultdict(list)
    for training in analysis.run.trainings:
        found[_seedless(training.recipe.case), training.recipe.epochs].append(training)
    groups = [sorted(group, key=_seed) for group in found.values()]
    # What others are compared with comes first, whichever ended first.
    return sorted(groups, key=lambda group: group[0].recipe.reference != group[0].recipe.case)


def _seedless(case: Case) -> Case:
    return dataclasses.replace(case, seed=0)


def _seed(training: Training) -> int:
    return training.recipe.case.seed


def convergence(analysis: Analysis) -> pd.DataFrame:
    """One row a variant and epoch: means over seeds, with intervals for three or more.

    Seconds are medians over seeds, and `elapsed_s` their sum so far.
    """
    rows = []
    for group in groups(analysis):
        case = _seedless(group[0].recipe.case)
        figures = _published(group[0], analysis)
        # Medians over seeds: what disturbs an epoch of one does not count.
        seconds = [
            statistics.median(epoch.seconds for epoch in epochs)
            for epochs in zip(*(t.epochs for t in group), strict=True)
        ]
        disturbed = SEPARATOR.join(_disturbed(group))
        for index, epochs in enumerate(zip(*(t.epochs for t in group), strict=True)):
            known = figures.get(index + 1, {})
            rows.append(
                {
                    **legacy.case_columns(case),
                    "optimizer": group[0].optimizer,
                    "epoch": index + 1,
                    "epochs": group[0].recipe.epochs,
                    "seeds": len(group),
                    "target": analysis.run.target_accuracy,
                    "epoch_s": seconds[index],
                    "elapsed_s": sum(seconds[: index + 1]),
                    **_figures(epochs),
                    "validation_s": statistics.fmean(e.validation_seconds for e in epochs),
                    **{f"published_{name}": known.get(name) for name in FIGURES},
                    "cautions": disturbed,
                }
            )
    return pd.DataFrame(rows, columns=CONVERGENCE)


def _published(training: Training, analysis: Analysis) -> dict[int, dict[str, float]]:
    """The published figures by epoch, if this is what was published; else nothing."""
    case = training.recipe.case
    figures = published.training(case.variant, case.device, case.batch_size)
    whole = figures and training.recipe.epochs == max(figures)
    return figures if whole and roles.as_published(case, analysis.run) else {}


def _published_end(training: Training, analysis: Analysis) -> float | None:
    """The published accuracy on the test set at the end, if there is one."""
    figures = _published(training, analysis)
    return figures[max(figures)].get("val_accuracy") if figures else None


def _figures(epochs: Sequence[Epoch]) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for name in FIGURES:
        values = [getattr(epoch, name) for epoch in epochs]
        if None not in values:
            columns |= _interval(name, values)
    return columns


def _interval(name: str, values: Sequence[float]) -> dict[str, float | None]:
    estimate = stats.interval(values)
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def accuracies(analysis: Analysis) -> pd.DataFrame:
    """One row a variant that is compared with another: its accuracy, and the difference.

    Over the seeds that both have; on the same test samples.
    """
    return pd.DataFrame(
        [_accuracy_row(pairs, analysis) for pairs in _pairs(analysis)], columns=ACCURACY
    )


def _pairs(analysis: Analysis) -> list[list[tuple[Training, Training]]]:
    """Each compared group with its reference, seed by seed."""
    known = {(t.recipe.case, t.recipe.epochs): t for t in analysis.run.trainings}
    any_epochs = {t.recipe.case: t for t in analysis.run.trainings}

    def reference(training: Training) -> Training | None:
        recipe = training.recipe
        if recipe.reference_epochs is None:
            return any_epochs.get(recipe.reference)
        return known.get((recipe.reference, recipe.reference_epochs))

    found = []
    for group in groups(analysis):
        pairs = [(t, other) for t in group if (other := reference(t)) is not None]
        if pairs and group[0].recipe.reference != group[0].recipe.case:
            found.append(pairs)
    return found


def _sides(pairs: Sequence[tuple[Training, Training]]) -> dict[str, Any]:
    reference = pairs[0][1].recipe
    return {
        **legacy.case_columns(_seedless(pairs[0][0].recipe.case)),
        "epochs": pairs[0][0].recipe.epochs,
        "optimizer": pairs[0][0].optimizer,
        "reference": reference.case.variant,
        "reference_batch_size": reference.case.batch_size,
        "reference_epochs": reference.epochs,
        "seeds": len(pairs),
    }


def _accuracy_row(pairs: Sequence[tuple[Training, Training]], analysis: Analysis) -> dict[str, Any]:
    row = _sides(pairs)
    wrong = [[_wrong(training) for training in side] for side in zip(*pairs, strict=True)]
    samples = pairs[0][0].test_samples
    if None in wrong[0] or None in wrong[1]:
        return {**row, "reason": "no classes to compare: no test set, or no output a class"}
    found = accuracy.difference(wrong[0], wrong[1], samples)  # type: ignore[arg-type]
    shares = [[1 - len(w or ()) / samples for w in side] for side in wrong]
    mine = stats.interval(shares[0])
    mine_published, other_published = (_published_end(training, analysis) for training in pairs[0])
    row |= {
        "test_samples": samples,
        "accuracy": mine.value,
        "accuracy_low": mine.low,
        "accuracy_high": mine.high,
        "reference_accuracy": statistics.fmean(shares[1]),
        "difference": found.estimate.value,
        "only_case_right": found.only_case_right,
        "only_reference_right": found.only_reference_right,
        "published": None
        if mine_published is None or other_published is None
        else mine_published - other_published,
    }
    if pairs[0][0].recipe.case.dataset == "digits":
        return {**row, "reason": _NOT_INDEPENDENT}
    judged = analysis.run.protocol.effort != "quick"
    return {
        **row,
        "low": found.estimate.low,
        "high": found.estimate.high,
        "p_value": found.p_value,
        "verdict": accuracy.verdict(found.estimate, samples) if judged else None,
        "smallest_visible": accuracy.smallest_visible(found.estimate) if judged else None,
    }


def _wrong(training: Training) -> set[int] | None:
    if training.mistakes is None:
        return None
    return {mistake.sample for mistake in training.mistakes}


def effective(analysis: Analysis) -> pd.DataFrame:
    """One row a variant: how much sooner it is as accurate as its reference.

    A seed's speedup is that of an epoch times the ratio of the epochs that both
    need until the test set is as accurate as the target. That of an epoch is the
    median over the epochs in which both took turns; so a disturbance of one
    epoch does not decide, as it would with the seconds that have passed. The
    interval is over seeds.
    """
    if analysis.run.target_accuracy is None:
        return pd.DataFrame(columns=EFFECTIVE)
    target = analysis.run.target_accuracy
    rows = [_effective_row(pairs, target) for pairs in _pairs(analysis)]
    return pd.DataFrame(rows, columns=EFFECTIVE)


def _effective_row(pairs: Sequence[tuple[Training, Training]], target: float) -> dict[str, Any]:
    epoch_logs = [_epoch_log(mine, other) for mine, other in pairs]
    epoch = stats.log_interval(epoch_logs)
    row = {
        **_sides(pairs),
        "target": target,
        "epoch_speedup": epoch.value,
        "epoch_low": epoch.low,
        "epoch_high": epoch.high,
    }
    if any(epoch.val_accuracy is None for pair in pairs for t in pair for epoch in t.epochs):
        return {**row, "reason": 'no test accuracy: no test set, or no metric "accuracy"'}
    missed = [
        f"{side[0].recipe.case.variant} in {len(short)} of {len(side)} seeds"
        for side in zip(*pairs, strict=True)
        if (short := [t for t in side if reached(t, target) is None])
    ]
    if missed:
        return {**row, "reason": f"{target:g} not reached by {', '.join(missed)}"}
    needed = [[_reached(t, target) for t in side] for side in zip(*pairs, strict=True)]
    speedup = stats.log_interval(
        [log + math.log(other / mine) for log, mine, other in zip(epoch_logs, *needed, strict=True)]
    )
    seconds = [
        [number * _median_epoch(t) for t, number in zip(side, numbers, strict=True)]
        for side, numbers in zip(zip(*pairs, strict=True), needed, strict=True)
    ]
    return {
        **row,
        "epochs_to_target": statistics.fmean(needed[0]),
        "reference_epochs_to_target": statistics.fmean(needed[1]),
        "target_s": statistics.fmean(seconds[0]),
        "reference_target_s": statistics.fmean(seconds[1]),
        "speedup": speedup.value,
        "low": speedup.low,
        "high": speedup.high,
        "verdict": None if speedup.low is None else verdicts.verdict(speedup),
    }


def _epoch_log(case: Training, reference: Training) -> float:
    """Logarithm of reference time over case time an epoch.

    The first epoch, with trace and compile, is left out where there are others.
    """
    first = 1 if min(len(case.epochs), len(reference.epochs)) > 1 else 0
    mine, other = ([e.seconds for e in t.epochs[first:]] for t in (case, reference))
    if case.interleaved and reference.interleaved:
        return statistics.median(math.log(b / a) for a, b in zip(mine, other, strict=False))
    return math.log(statistics.median(other) / statistics.median(mine))


def reached(training: Training, target: float) -> float | None:
    """Epochs until the test set is that accurate; None if it never is.

    Between the ends of two epochs accuracy is taken as linear: whole epochs
    would be too coarse a measure where few are needed.
    """
    before = None
    for epoch in training.epochs:
        now = epoch.val_accuracy
        if now is not None and now >= target:
            if before is None:
                return float(epoch.epoch)
            return epoch.epoch - (now - target) / (now - before)
        before = now
    return None


def _reached(training: Training, target: float) -> float:
    number = reached(training, target)
    assert number is not None
    return number


def _median_epoch(training: Training) -> float:
    return statistics.median(epoch.seconds for epoch in training.epochs)


def cautions(analysis: Analysis) -> Iterator[str]:
    """Yield a line a doubt about the times of trainings."""
    for group in groups(analysis):
        case = group[0].recipe.case
        for doubt in _disturbed(group):
            yield f"Caution: {doubt} [{case.variant} {case.batch_size}]"


def _disturbed(group: Sequence[Training]) -> Iterator[str]:
    """Say what else kept the machine busy during the epochs of a variant, and what changed."""
    epochs = [epoch for training in group for epoch in training.epochs]
    seconds = sum(e.seconds + e.validation_seconds for e in epochs)
    for caution in (
        *disturbed_cpus(epochs, seconds, group[0].recipe.case.threads),
        *stopped_by_quota(epochs),
        *changed([s for training in group for s in training.surroundings]),
    ):
        yield str(caution)
    for training in group:
        longest, median = max(e.seconds for e in training.epochs), _median_epoch(training)
        if longest > _FAR_LONGER * median:
            yield (
                f"an epoch of seed {_seed(training)} took {units.seconds(longest)}, the median "
                f"{units.seconds(median)}; seconds are medians, which it does not move"
            )
