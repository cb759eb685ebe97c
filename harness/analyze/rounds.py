"""The rounds of a comparison by the worker that ran them, and the workers of each case."""

import operator
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
class Worker:
    """One fresh worker of a case; `step_seconds` is the median of its rounds."""

    start: Start
    step_seconds: float


def workers_of(run: Run) -> dict[Case, list[list[Worker]]]:
    """List the workers of each case, those of one block together.

    A block of a case against itself has two. They ran side by side and are not independent of
    each other; blocks are.
    """
    found: dict[Case, dict[tuple[str, int], list[Worker]]] = defaultdict(lambda: defaultdict(list))
    for m in run.outcomes:
        if isinstance(m, Measurement):
            for start in m.starts:
                step = median_step(by_worker(m)[start.role, start.block])
                found[m.side(start.role)][m.key, start.block].append(Worker(start, step))
    return {case: [*blocks.values()] for case, blocks in found.items()}
