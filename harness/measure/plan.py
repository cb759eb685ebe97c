"""What each side does in a block: steps of a round, rounds, steps of a `fit`."""

import math
from dataclasses import dataclass

from harness.measure import timing
from harness.records import Protocol, Role

ROLES: tuple[Role, Role] = ("reference", "case")


@dataclass(frozen=True, slots=True)
class Share:
    """What one side does in a block; chosen once a comparison, then fixed.

    Attributes:
        steps: Steps of a round.
        rounds: Rounds.
        fit_steps: Steps of the timed `fit`; 0 for none.
    """

    steps: int
    rounds: int
    fit_steps: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The shares of both sides."""

    case: Share
    reference: Share

    def of(self, role: Role) -> Share:
        """Return the share of that side."""
        return self.case if role == "case" else self.reference


def plan_turns(step: dict[Role, float], protocol: Protocol) -> Plan:
    """Choose the shares of workers that take turns, from the seconds a step of the warm-up.

    Only the case times a `fit`: the reference waits meanwhile.
    """
    # Both rounds of a pair last about as long, so that neither is the noisier one.
    seconds = max(protocol.round_seconds, *step.values())
    steps = {role: protocol.steps or timing.choose_steps(step[role], seconds) for role in ROLES}
    pair_seconds = sum(steps[role] * step[role] for role in ROLES)
    pairs = timing.choose_pairs(
        pair_seconds, protocol.block_seconds, protocol.min_pairs, protocol.max_pairs
    )
    return Plan(
        case=Share(steps["case"], pairs, _fit_steps(step["case"], protocol)),
        reference=Share(steps["reference"], pairs, 0),
    )


def plan_alone(step_seconds: float, protocol: Protocol) -> Share:
    """Choose the share of a worker that has its half of a block for itself."""
    steps = protocol.steps or timing.choose_steps(step_seconds, protocol.gpu_round_seconds)
    rounds = timing.choose_pairs(
        steps * step_seconds, protocol.block_seconds / 2, protocol.min_pairs, protocol.max_pairs
    )
    return Share(steps, rounds, _fit_steps(step_seconds, protocol))


def _fit_steps(step_seconds: float, protocol: Protocol) -> int:
    """The first step of a `fit` also starts the input pipeline; the rate is that of the others."""
    return 1 + max(1, math.ceil(protocol.fit_seconds / step_seconds))
