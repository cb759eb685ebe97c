"""How long comparisons of several hosts will take, from one worker that is tried on this host.

Each step of theirs may take seconds, and their workers join first, so that what holds for one host
is far too short.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.measure.group import Comparison, Wish
from harness.measure.side import Setup, Side
from harness.records import Case, Protocol

# A start on two hosts of one machine over a start on one, with and without early steps: 1.7 and
# 1.8 (AMD EPYC, 2 CPUs, JAX 0.10.2, baseline at 256).
_JOINED = 1.75
_TOGETHER = 5  # steps of the warm-up on several hosts, see `worker.warm_up`
_RATES_SECONDS = 1.5  # to find the rates of a worker's machine


@dataclass(frozen=True, slots=True)
class Tried:
    """What one worker took: its start with the first step, and a step per sample, in seconds."""

    start_seconds: float
    sample_seconds: float


def tried(case: Case, setup: Setup) -> Tried:
    """Start a worker of a case on this host alone.

    Raises:
        WorkerFailed: the case cannot be trained.
    """
    side = Side.start(replace(case, hosts=1, replicas=1), setup)
    try:
        side.open()
        side.warm_up()
        side.end_rounds()
        start = side.start_record(0)
    finally:
        side.end()
    seconds = start.build_seconds + start.first_step_seconds
    return Tried(seconds, side.step_seconds / case.batch_size)


def expected_seconds(
    comparisons: Iterable[tuple[Comparison, Wish]], found: Tried, protocol: Protocol, machines: int
) -> float:
    """Estimate how long comparisons take that share their workers.

    Hosts on one machine share its CPUs. Where blocks end as soon as they decide, the geometric mean
    of the fewest and the most is expected.
    """
    early: dict[Case, int] = {}
    references = set()
    for (case, reference), wish in comparisons:
        for one in (case, reference):
            early[one] = max(early.get(one, 0), wish.early_steps or 0)
        references.add(reference)
    seconds = 0.0
    for case, steps in early.items():
        step = found.sample_seconds * case.batch_size / min(case.hosts, machines)
        timed = max(protocol.block_seconds / 2, protocol.min_pairs * step)
        if case.hosts > 1:
            its = _JOINED * found.start_seconds + (steps + _TOGETHER) * step + timed
        else:
            its = found.start_seconds + (steps + 2) * step + timed
            its += max(protocol.fit_seconds, 2 * step)
        seconds += its + _RATES_SECONDS
        if case in references and protocol.blocks > 1:  # its second worker
            seconds += found.start_seconds + 2 * step + timed
    fewest = protocol.looks[0] if protocol.looks else protocol.blocks
    return seconds * math.sqrt(fewest * protocol.blocks)
