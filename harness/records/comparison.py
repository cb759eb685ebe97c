"""One case against another: its blocks, its outcome, and the ladders made of such comparisons."""

from dataclasses import dataclass
from typing import Literal

from harness.records.case import Case, comparison_key
from harness.records.observations import ModelFacts, Role, Round, Start, Surroundings

FailureKind = Literal["oom", "killed", "timeout", "unsupported", "diverged", "error", "interrupted"]


@dataclass(frozen=True, slots=True)
class SidePlan:
    """What one side does in every block of a comparison.

    Attributes:
        steps: Steps per round.
        rounds: Rounds per block.
        fit_steps: Steps of the timed `fit`; 0 for none.
    """

    steps: int
    rounds: int
    fit_steps: int


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What both sides do in every block of a comparison."""

    case: SidePlan
    reference: SidePlan

    def of(self, role: Role) -> SidePlan:
        """Return the plan of that side."""
        return self.case if role == "case" else self.reference


@dataclass(frozen=True, slots=True)
class Block:
    """Everything observed in one block.

    Attributes:
        surroundings: None in journals from before it was recorded.
    """

    plan: BlockPlan
    rounds: tuple[Round, ...]
    starts: tuple[Start, ...]
    facts: dict[Role, ModelFacts]
    surroundings: Surroundings | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Measurement:
    """Everything observed in the comparison of a case with a reference.

    Attributes:
        steps: Steps per round of the case.
        reference_steps: Steps per round of the reference.
        pairs: Rounds of the case per block. Kept as evidence: no table shows it.
        interleaved: Whether the workers of a block took turns, round by round; where a GPU is
            used they ran one after the other.
        surroundings: What changed around each block; empty in runs from before it was recorded.
    """

    case: Case
    reference: Case
    facts: ModelFacts
    reference_facts: ModelFacts
    steps: int
    reference_steps: int
    pairs: int
    rounds: tuple[Round, ...]
    starts: tuple[Start, ...]
    wall_seconds: float
    interleaved: bool = True
    surroundings: tuple[Surroundings, ...] = ()

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)

    def side(self, role: Role) -> Case:
        """Return the case of that side."""
        return self.case if role == "case" else self.reference


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be measured: a result, not an exception."""

    case: Case
    reference: Case
    kind: FailureKind
    message: str
    log_tail: str = ""

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


Outcome = Measurement | Failure


@dataclass(frozen=True, slots=True)
class Rung:
    """One change of a ladder: a case against the previous one.

    Attributes:
        change: What changed, in a few words.
        case: With the change.
        reference: Without it.
    """

    change: str
    case: Case
    reference: Case

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


@dataclass(frozen=True, slots=True)
class Ladder:
    """A path from one case to another, one change at a time.

    Attributes:
        name: Of this order of the changes.
        rungs: One per change; the reference of the first is the start.
    """

    name: str
    rungs: tuple[Rung, ...]

    @property
    def key(self) -> str:
        """Which ladder this is."""
        return f"{self.name}-{self.rungs[0].reference.id}"
