"""The rounds of a comparison by the worker that ran them, and their sums."""

import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from harness.analyze.once import once
from harness.records import Counters, Measurement, Role, Round


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
