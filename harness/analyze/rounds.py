"""The rounds of a comparison by the worker that ran them, and the workers of each case."""

import operator
import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.analyze.once import once
from harness.records import Case, Counters, Measurement, Role, Round, Run, Start


@once
def by_worker(measurement: Measurement) -> Mapping[tuple[Role, int], Sequence[Round]]:
    """The rounds of each role and block, in the order in which they ran."""
    found: dict[tuple[Role, int], list[Round]] = defaultdict(list)
    for a_round in measurement.rounds:
        found[a_round.role, a_round.block].append(a_round)
    return dict(found)


def of_role(measurement: Measurement, role: Role) -> list[Sequence[Round]]:
    """The rounds of each worker of a side, in the order in which the blocks ran."""
    return [its for (whose, _), its in by_worker(measurement).items() if whose == role]


def blocks(measurement: Measurement) -> list[int]:
    """The blocks that have a round, in the order in which they ran."""
    return list(dict.fromkeys(block for _, block in by_worker(measurement)))


def compared_blocks(measurement: Measurement) -> list[int]:
    """Those in which both sides have a round."""
    known, sides = by_worker(measurement), ("case", "reference")
    return [block for block in blocks(measurement) if all((side, block) in known for side in sides)]


def step_seconds(its: Iterable[Round]) -> list[float]:
    """Return seconds per step of each round."""
    return [a_round.seconds / a_round.steps for a_round in its]


def median_step(its: Iterable[Round]) -> float:
    """Return the median of seconds per step."""
    return statistics.median(step_seconds(its))


def total(its: Iterable[Counters], field: str) -> float:
    """Sum of a field over rounds or epochs; a missing value counts nothing."""
    values: Iterable[float | None] = map(operator.attrgetter(field), its)
    return sum(filter(None, values))


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a run that were timed; a worker that several comparisons share counts once."""

    rounds: float
    fits: float  # parts of an epoch
    epochs: float  # of full trainings


def timed(run: Run) -> Timed:
    """Sum what a run timed; the rest of its time is starts, warm-up and readings."""
    measured = [outcome for outcome in run.outcomes if isinstance(outcome, Measurement)]
    workers = [
        worker
        for blocks in workers_of(measured).values()
        for its in blocks.values()
        for worker in its
    ]
    return Timed(
        rounds=sum(total(worker.rounds, "seconds") for worker in workers),
        fits=sum(worker.start.fit.seconds for worker in workers if worker.start.fit),
        epochs=sum(epoch.seconds for training in run.trainings for epoch in training.epochs),
    )


WorkerId = tuple[Hashable, Hashable]  # which block of the run, and which of its workers


@once
def worker_ids(measurement: Measurement) -> Mapping[tuple[Role, int], WorkerId]:
    """Tell the worker of each role and block; comparisons of one group share some."""
    ids: dict[tuple[Role, int], WorkerId] = {
        (role, block): ((measurement.key, block), role) for role, block in by_worker(measurement)
    }
    for start in measurement.starts:
        if start.group_block is not None:
            ids[start.role, start.block] = (start.group_block, start.place)
    return ids


@dataclass(frozen=True, slots=True)
class Worker:
    """One fresh worker of a case; `step_seconds` is the median of its rounds."""

    start: Start
    rounds: Sequence[Round]
    step_seconds: float


def workers_of(measured: Iterable[Measurement]) -> dict[Case, dict[Hashable, list[Worker]]]:
    """List the workers of each case by block, each worker once.

    A block may have two of a case. They ran side by side and are not independent of each other;
    blocks are.
    """
    found: dict[Case, dict[Hashable, list[Worker]]] = defaultdict(lambda: defaultdict(list))
    seen: set[WorkerId] = set()
    for m in measured:
        ids, its_rounds = worker_ids(m), by_worker(m)
        for start in m.starts:
            key = start.role, start.block
            if ids[key] not in seen:
                seen.add(ids[key])
                worker = Worker(start, its_rounds[key], median_step(its_rounds[key]))
                found[m.side(start.role)][ids[key][0]].append(worker)
    return found
