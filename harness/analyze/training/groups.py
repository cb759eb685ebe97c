"""Full trainings that belong together: the seeds of a case, a case and its reference."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import (
    Caution,
    changed,
    disturbed_cpus,
    of_machine,
    stopped_by_quota,
)
from harness.records import Case, Machine, Training

Pair = tuple[Training, Training]  # a training and the one of its reference, of the same seed
_FAR_LONGER = 1.5


def groups(analysis: Analysis) -> list[list[Training]]:
    """Group the trainings that differ in their seed alone, in the order of seeds.

    Groups of references come first, whichever ended first.
    """
    found: dict[tuple[Case, int], list[Training]] = defaultdict(list)
    for training in analysis.run.trainings:
        seedless = dataclasses.replace(training.recipe.case, seed=0)
        found[seedless, training.recipe.epochs].append(training)
    groups = [sorted(group, key=seed) for group in found.values()]
    return sorted(groups, key=lambda group: group[0].recipe.reference != group[0].recipe.case)


def pairs(analysis: Analysis) -> list[list[Pair]]:
    """Pair the trainings of each compared group with those of its reference, seed by seed."""
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


def seed(training: Training) -> int:
    """Return the seed of a training."""
    return training.recipe.case.seed


def median_epoch(training: Training) -> float:
    """Return the median seconds per epoch."""
    return statistics.median(epoch.seconds for epoch in training.epochs)


def cautions(group: Sequence[Training], machine: Machine) -> Iterator[Caution]:
    """Say what else kept the machine busy during a group's epochs, and what changed there."""
    yield from of_machine(machine)
    epochs = [epoch for training in group for epoch in training.epochs]
    seconds = sum(e.seconds + e.validation_seconds for e in epochs)
    yield from disturbed_cpus(epochs, seconds, group[0].recipe.case.threads)
    yield from stopped_by_quota(epochs)
    yield from changed([s for training in group for s in training.surroundings])
    for training in group:
        longest, median = max(e.seconds for e in training.epochs), median_epoch(training)
        if longest > _FAR_LONGER * median:
            yield Caution(
                f"an epoch of seed {seed(training)} took {units.seconds(longest)}, the median "
                f"{units.seconds(median)}",
                "seconds are medians, which it does not move",
            )


def caution_lines(analysis: Analysis) -> Iterator[str]:
    """Yield a line per doubt about the times of trainings."""
    for group in groups(analysis):
        case = group[0].recipe.case
        for caution in cautions(group, analysis.run.machine):
            yield f"Caution: {caution} [{case.variant} {case.batch_size}]"
