"""Choose what each worker does in a block: steps per round, rounds, steps of a `fit`, turns."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from harness.records import Case, Protocol, SidePlan

# Seconds: rounds of a case with a longer step would lie far from those that they are compared with.
LONGEST_STEP = 8.0


def plan_reference(
    step_seconds: float, case: Case, protocol: Protocol, *, by_fit: bool
) -> SidePlan:
    """Plan the reference of workers that take turns; the number of its rounds is that of turns.

    Args:
        step_seconds: Seconds per step of the warm-up.
        case: The reference.
        protocol: Of the run.
        by_fit: Whether a case is compared by `fit`.
    """
    steps = _steps(step_seconds, protocol.round_seconds, case, protocol)
    seconds = protocol.block_seconds / 2
    rounds = _rounds(steps * step_seconds, seconds, protocol, protocol.max_pairs)
    fit_seconds = seconds if by_fit else protocol.fit_seconds
    return SidePlan(steps, rounds, _fit_steps(step_seconds, case, fit_seconds))


def plan_case(
    step_seconds: float, case: Case, turns: int, protocol: Protocol, *, by_fit: bool
) -> SidePlan:
    """Plan a case of workers that take turns: as much time as the reference has.

    A case of slow steps takes part in some turns only.

    Args:
        step_seconds: Seconds per step of the warm-up.
        case: The case.
        turns: Rounds of the reference.
        protocol: Of the run.
        by_fit: Whether the case gets its batches in another way than its reference: then the
            `fit` is what is compared, half a block long, after few rounds.
    """
    seconds = protocol.block_seconds / 2
    steps = _steps(step_seconds, max(protocol.round_seconds, seconds / turns), case, protocol)
    rounds = _rounds(steps * step_seconds, 0.0 if by_fit else seconds, protocol, turns)
    fit_seconds = seconds if by_fit else protocol.fit_seconds
    return SidePlan(steps, rounds, _fit_steps(step_seconds, case, fit_seconds))


def plan_alone(step_seconds: float, case: Case, protocol: Protocol) -> SidePlan:
    """Plan one worker of a block whose workers run one after the other."""
    steps = _steps(step_seconds, protocol.gpu_round_seconds, case, protocol)
    seconds = protocol.block_seconds / 2
    rounds = _rounds(steps * step_seconds, seconds, protocol, protocol.max_pairs)
    return SidePlan(steps, rounds, _fit_steps(step_seconds, case, protocol.fit_seconds))


def _steps(step_seconds: float, seconds: float, case: Case, protocol: Protocol) -> int:
    return _whole(protocol.steps or max(1, round(seconds / step_seconds)), case)


def _rounds(round_seconds: float, seconds: float, protocol: Protocol, most: int) -> int:
    return min(most, max(protocol.min_pairs, round(seconds / round_seconds)))


def _fit_steps(step_seconds: float, case: Case, seconds: float) -> int:
    """Return the steps of a `fit`; 0 on several hosts, where each would need data of its own.

    The first step also starts the input pipeline, so the rate is that of the later ones.
    """
    if case.hosts > 1:
        return 0
    return case.steps_per_execution + _whole(max(1, math.ceil(seconds / step_seconds)), case)


def _whole(steps: int, case: Case) -> int:
    """Round steps up to whole executions."""
    return math.ceil(steps / case.steps_per_execution) * case.steps_per_execution


def turns(
    rounds: Sequence[int], block: int, *, references: Sequence[int] = ()
) -> Iterator[list[int]]:
    """Yield the workers of each turn by their index, in the order of their rounds.

    The orders are drawn at random with two restrictions (restricted randomization: Cochran and Cox
    1957, "Experimental Designs"). The two workers of the reference lie half a turn apart: a
    disturbance of some rounds does not hit both. Each turn begins one worker later than the turn
    before: a worker of the reference is equally often at each position.

    Args:
        rounds: Of each worker; one with fewer than others takes part in some turns only.
        block: Number of the block; each number has its own orders, the same in every run.
        references: The one or two workers of the case that most others are compared with.
    """
    count, workers = max(rounds), len(rounds)
    ahead, later = list(references[:1]), list(references[1:2])
    others = [worker for worker in range(workers) if worker not in ahead + later]
    for turn in range(count):
        draw = np.random.default_rng((block, turn))
        shuffled = draw.permutation(others).astype(int).tolist()
        middle = (len(others) + int(draw.integers(2))) // 2
        if later and draw.integers(2):
            ahead, later = later, ahead
        order = [*ahead, *shuffled[:middle], *later, *shuffled[middle:]]
        first = (turn + block) % workers
        yield [
            worker
            for worker in order[first:] + order[:first]
            if (turn + 1) * rounds[worker] // count > turn * rounds[worker] // count
        ]
