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


def blocks(measurement: Measurement) -> list[int]:
    """The blocks that have a round, in the order in which they ran."""
    return list(dict.fromkeys(block for _, block in by_worker(measurement)))


def compared_blocks(measurement: Measurement) -> list[int]:
    """Those in which both sides have a round."""
    workers = by_worker(measurement)
    return [
        block
        for block in blocks(measurement)
        if ("reference", block) in workers and ("case", block) in workers
    ]


def step_seconds(its: Iterable[Round]) -> list[float]:
    """Return seconds per step of each round."""
    return [a_round.seconds / a_round.steps for a_round in its]


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
    found: dict[Case, list[list[Worker]]] = defaultdict(list)
    for m in run.outcomes:
        if not isinstance(m, Measurement):
            continue
        its_rounds = by_worker(m)
        blocks: dict[Case, dict[int, list[Worker]]] = defaultdict(lambda: defaultdict(list))
        for start in m.starts:
            case = m.case if start.role == "case" else m.reference
            step = statistics.median(step_seconds(its_rounds[start.role, start.block]))
            blocks[case][start.block].append(Worker(start, step))
        for case, its in blocks.items():
            found[case].extend(its.values())
    return found
