"""One case against another: its blocks, its outcome, and the ladders made of such comparisons."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from harness.records.case import Case, Compared
from harness.records.observations import ModelFacts, Role, Round, Start, Surroundings

# After all blocks, or as many as the time limit left; at a look; after a first block that excludes
# a gain; by an interrupt of the run.
Ended = Literal["complete", "decided", "screened", "interrupted"]
FailureKind = Literal["oom", "killed", "timeout", "unsupported", "diverged", "error", "interrupted"]


@dataclass(frozen=True, slots=True)
class SidePlan:
    """What one side does in every block of a comparison."""

    steps: int  # per round
    rounds: int  # per block
    fit_steps: int  # of the timed `fit`; 0 for none

    def shortened(self, share: float) -> "SidePlan":
        """Return the plan with that share of its rounds, at least one."""
        return dataclasses.replace(self, rounds=max(1, round(share * self.rounds)))


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What both sides do in every block of a comparison."""

    case: SidePlan
    reference: SidePlan

    def of(self, role: Role) -> SidePlan:
        """Return the plan of that side."""
        return self.case if role == "case" else self.reference

    def shortened(self, share: float) -> "BlockPlan":
        """Return the plan with that share of the rounds of both sides."""
        return BlockPlan(self.case.shortened(share), self.reference.shortened(share))


@dataclass(frozen=True, slots=True)
class Block:
    """Everything observed in one block."""

    plan: BlockPlan
    rounds: tuple[Round, ...]
    starts: tuple[Start, ...]
    facts: dict[Role, ModelFacts]
    surroundings: Surroundings | None = None  # None in journals from before it was recorded


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Measurement(Compared):
    """Everything observed in the comparison of a case with a reference.

    The workers of a block took turns, round by round (`interleaved`), or ran one after the other,
    as where a GPU is used.
    """

    case: Case
    reference: Case
    facts: ModelFacts
    reference_facts: ModelFacts
    steps: int  # per round
    reference_steps: int
    pairs: int  # rounds of the case per block; evidence: no table shows it
    rounds: tuple[Round, ...]
    starts: tuple[Start, ...]
    wall_seconds: float
    interleaved: bool = True
    surroundings: tuple[Surroundings, ...] = ()  # of each block; earlier runs have none
    confidence: float = 0.95  # of the interval of its speedup, see `protocol.confidence`
    ended: Ended = "complete"

    def side(self, role: Role) -> Case:
        """Return the case of that side."""
        return self.case if role == "case" else self.reference


@dataclass(frozen=True, slots=True)
class Failure(Compared):
    """A case that could not be measured: a result, not an exception."""

    case: Case
    reference: Case
    kind: FailureKind
    message: str
    log_tail: str = ""


Outcome = Measurement | Failure


@dataclass(frozen=True, slots=True)
class Rung(Compared):
    """One change of a ladder: a case against the previous one."""

    change: str  # in a few words
    case: Case
    reference: Case


@dataclass(frozen=True, slots=True)
class Ladder:
    """A path from one case to another, one change at a time."""

    name: str  # of this order of the changes
    rungs: tuple[Rung, ...]  # the reference of the first is the start

    @property
    def key(self) -> str:
        """Which ladder this is."""
        return f"{self.name}-{self.rungs[0].reference.id}"
