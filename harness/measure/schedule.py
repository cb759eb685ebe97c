"""Choose what each side does in a block: steps per round, rounds, steps of a `fit`."""

import math
from collections.abc import Iterator, Mapping

from harness.records import BlockPlan, Case, Protocol, Role, SidePlan

ROLES: tuple[Role, Role] = ("reference", "case")


def plan_turns(
    step: dict[Role, float], sides: Mapping[Role, Case], protocol: Protocol
) -> BlockPlan:
    """Plan the block of workers that take turns, from the seconds per step of the warm-up.

    Only the case times a `fit`, while the reference waits. If the sides get their batches in
    different ways, the `fit` is what is compared: both time one of half a block, after few rounds.
    """
    # Both rounds of a pair last about as long, so that they are equally noisy.
    seconds = max(protocol.round_seconds, *step.values())
    steps = {role: _steps(step[role], seconds, sides[role], protocol) for role in ROLES}
    by_fit = sides["case"].feed != sides["reference"].feed
    pair_seconds = sum(steps[role] * step[role] for role in ROLES)
    pairs = _rounds(pair_seconds, 0.0 if by_fit else protocol.block_seconds, protocol)
    seconds_of_fit = protocol.block_seconds / 2 if by_fit else protocol.fit_seconds
    fits = {role: _fit_steps(step[role], seconds_of_fit, sides[role]) for role in ROLES}
    return BlockPlan(
        case=SidePlan(steps["case"], pairs, fits["case"]),
        reference=SidePlan(steps["reference"], pairs, fits["reference"] if by_fit else 0),
    )


def plan_alone(step_seconds: float, case: Case, protocol: Protocol) -> SidePlan:
    """Plan one side of a block whose workers run one after the other."""
    steps = _steps(step_seconds, protocol.gpu_round_seconds, case, protocol)
    rounds = _rounds(steps * step_seconds, protocol.block_seconds / 2, protocol)
    return SidePlan(steps, rounds, _fit_steps(step_seconds, protocol.fit_seconds, case))


def _steps(step_seconds: float, round_seconds: float, case: Case, protocol: Protocol) -> int:
    """Steps of a round of about that length, at least one."""
    return _whole(protocol.steps or max(1, round(round_seconds / step_seconds)), case)


def _rounds(seconds: float, block_seconds: float, protocol: Protocol) -> int:
    """Rounds, or pairs, of so many seconds in a block of about that length."""
    return min(protocol.max_pairs, max(protocol.min_pairs, round(block_seconds / seconds)))


def _fit_steps(step_seconds: float, fit_seconds: float, case: Case) -> int:
    """Steps of a `fit`; 0 on several hosts, where each would need data of its own.

    The first step also starts the input pipeline, so the rate is that of the later ones.
    """
    if case.hosts > 1:
        return 0
    return case.steps_per_execution + _whole(max(1, math.ceil(fit_seconds / step_seconds)), case)


def _whole(steps: int, case: Case) -> int:
    """Round steps up to whole executions."""
    return math.ceil(steps / case.steps_per_execution) * case.steps_per_execution


def turns(pairs: int, block: int) -> Iterator[tuple[int, tuple[Role, Role]]]:
    """Yield each pair's index and the order of its two rounds: AB, BA, AB and so on.

    The next block begins with BA: each side runs first equally often in two blocks.
    """
    for pair in range(pairs):
        yield pair, ROLES if (pair + block) % 2 == 0 else (ROLES[1], ROLES[0])
