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
from harness.worker.warm_up import TOGETHER

# Of two hosts on one machine over one host (AMD EPYC, 2 CPUs, JAX 0.10.2, baseline at 256): a start
# takes 1.75 times as long; both together train 1.5 times as fast, since JAX leaves CPUs idle.
_JOINED = 1.75
_SHARED = 1.5
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

    Early steps are taken in the first block only, as where all sides learn alike. Where blocks end
    as soon as they decide, the geometric mean of the fewest and the most is expected.
    """
    early: dict[Case, int] = {}
    references = set()
    for (case, reference), wish in comparisons:
        for one in (case, reference):
            early[one] = max(early.get(one, 0), wish.early_steps or 0)
        references.add(reference)
    first = later = 0.0
    for case, steps in early.items():
        alone = case.hosts == 1
        faster = 1.0 if alone else machines * (_SHARED if machines < case.hosts else 1.0)
        step = found.sample_seconds * case.batch_size / faster
        timed = max(protocol.block_seconds / 2, protocol.min_pairs * step)
        if alone:
            its = found.start_seconds + 2 * step + timed + max(protocol.fit_seconds, 2 * step)
        else:
            its = _JOINED * found.start_seconds + TOGETHER * step + timed
        its += _RATES_SECONDS
        if case in references and protocol.blocks > 1:  # its second worker
            its += found.start_seconds + 2 * step + timed
        first, later = first + its + steps * step, later + its
    fewest = protocol.looks[0] if protocol.looks else protocol.blocks
    return first + (math.sqrt(fewest * protocol.blocks) - 1) * later
