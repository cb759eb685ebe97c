"""What each fresh worker of a case gave, block by block: its start beside its own rounds."""

import statistics
from collections import defaultdict
from dataclasses import dataclass

from harness.analyze import rounds
from harness.records import Case, Measurement, Run, Start


@dataclass(frozen=True, slots=True)
class Worker:
    """One fresh worker.

    Attributes:
        start: What it did before its rounds, and what was read of it.
        step_seconds: Median of its rounds.
    """

    start: Start
    step_seconds: float


def by_block(run: Run) -> dict[Case, list[list[Worker]]]:
    """List the workers of each case, those of one block together.

    A block of a case against itself has two, which ran side by side: they are
    not independent of each other, blocks are.
    """
    found: dict[Case, list[list[Worker]]] = defaultdict(list)
    for m in run.outcomes:
        if not isinstance(m, Measurement):
            continue
        its_rounds = rounds.by_worker(m)
        blocks: dict[Case, dict[int, list[Worker]]] = defaultdict(lambda: defaultdict(list))
        for start in m.starts:
            case = m.case if start.role == "case" else m.reference
            step = statistics.median(rounds.step_seconds(its_rounds[start.role, start.block]))
            blocks[case][start.block].append(Worker(start, step))
        for case, its in blocks.items():
            found[case].extend(its.values())
    return found
