"""Block times and speedups of each case of a run, and how far they drift within the run."""

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from harness.analyze import rounds
from harness.analyze.compare.case_matching import Matching
from harness.analyze.moderation import Speedups
from harness.analyze.rounds import WorkerId
from harness.analyze.stats import Mean
from harness.records import Case, Failure, Measurement, Run

Part = tuple[float, float]  # part of a variance, and its degrees of freedom


@dataclasses.dataclass(frozen=True, slots=True)
class RunTimes:
    """Block times of a run, by matched case; a comparison is a case and its reference."""

    run: Run
    own: dict[Case, Case]  # each matched case as the run itself names it
    # By comparison, the log of the seconds per sample of each block; by reference, the mean log of
    # the speedup over blocks, with its moderated variance.
    times: dict[Case, dict[tuple[Case, Case], list[float]]]
    speedups: dict[Case, dict[Case, Mean]]
    measured: set[tuple[Case, Case]]  # every measured comparison, and every full training
    failed: set[tuple[Case, Case]]
    block_drift: Part | None  # variance between the blocks of a comparison
    comparison_drift: Part | None  # of a case; None where no case takes part in two

    @classmethod
    def of(cls, run: Run, found: Matching) -> "RunTimes":
        """Read the block times of every measurement."""
        own: dict[Case, Case] = {}
        times: dict[Case, dict[tuple[Case, Case], list[float]]] = defaultdict(dict)
        speedups: dict[Case, dict[Case, Mean]] = defaultdict(dict)
        measured, failed, seen = set(), set(), set[WorkerId]()
        moderated = Speedups.of(o for o in run.outcomes if isinstance(o, Measurement))
        for outcome in run.outcomes:
            case, reference = (found.match(c, run) for c in (outcome.case, outcome.reference))
            own |= {reference: outcome.reference, case: outcome.case}
            if isinstance(outcome, Failure):
                failed.add((case, reference))
                continue
            measured.add((case, reference))
            for side, logs in block_times(outcome, seen).items():
                times[found.match(side, run)][case, reference] = logs
            if case != reference:
                speedups[case][reference] = moderated.mean(outcome)
        for training in run.trainings:
            recipe = training.recipe
            measured.add((found.match(recipe.case, run), found.match(recipe.reference, run)))
        blocks = [logs for parts in times.values() for logs in parts.values()]
        means = [[statistics.fmean(logs) for logs in parts.values()] for parts in times.values()]
        drift = _pooled(blocks), _pooled(means)
        return cls(run, own, dict(times), dict(speedups), measured, failed, *drift)

    def time_drift(self, comparisons: float) -> list[Part] | None:
        """Return the variance that drift adds to the mean time of a case over comparisons.

        Drift between runs is taken to be as large as that between comparisons and blocks. None
        where it is not known.
        """
        if self.block_drift is None or self.comparison_drift is None:
            return None
        variance, degrees = self.comparison_drift
        return [self.block_drift, ((1 + 1 / comparisons) * variance, degrees)]


def own_parts(groups: Sequence[Sequence[float]]) -> list[Part]:
    """Return the variance of a mean over groups of block values, as the part of each group.

    The variance of a mean over several groups is that of each over the square of their number.
    """
    return [
        (statistics.variance(logs) / len(logs) / len(groups) ** 2, len(logs) - 1) for logs in groups
    ]


def of_another_run(speedup: Mean) -> Part:
    """Return the variance of a speedup's mean, and what drift between runs adds: that of a block.

    Drift slows case and reference alike, as within a block. So the variance of one more block of
    the speedup is added.
    """
    return (1 + speedup.n) * speedup.variance, speedup.freedom


def block_times(measurement: Measurement, seen: set[WorkerId]) -> dict[Case, list[float]]:
    """Return, by case, the log of the median seconds per sample of each block.

    A reference that was measured against itself has the rounds of both sides. Workers that another
    comparison has shared, those in `seen`, are left out; `seen` grows.
    """
    ids = rounds.worker_ids(measurement)
    seconds: dict[Case, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (role, block), its in rounds.by_worker(measurement).items():
        if ids[role, block] in seen:
            continue
        seen.add(ids[role, block])
        case = measurement.side(role)
        seconds[case][block] += [step / case.batch_size for step in rounds.step_seconds(its)]
    return {
        case: [math.log(statistics.median(block)) for block in blocks.values()]
        for case, blocks in seconds.items()
    }


def _pooled(groups: Iterable[Sequence[float]]) -> Part | None:
    """Pool the variance within groups; None where no group has two values."""
    several = [group for group in groups if len(group) > 1]
    degrees = sum(len(group) - 1 for group in several)
    if not degrees:
        return None
    squares = sum((len(group) - 1) * statistics.variance(group) for group in several)
    return squares / degrees, degrees
