"""Levers that were tried on a case, alone and on top of each other."""

from dataclasses import dataclass, field

from harness.records.case import Case, comparison_key


@dataclass(frozen=True, slots=True)
class Attempt:
    """A lever that was tried: alone, or on top of those taken before.

    Attributes:
        lever: `name=setting`, several joined by `+`.
        case: With it.
        reference: Without it.
        reason: Why it cannot be tried here; empty when it can.
        note: What there is to know of it on this machine.
        environment: What the process must find in its environment at its start.
    """

    lever: str
    case: Case
    reference: Case
    reason: str = ""
    note: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tried to make a case faster.

    Attributes:
        plain: The case with no lever moved.
        attempts: In their order: first each lever alone, then those on top of others.
        stack: The levers taken, in the order in which they were.
        stacked: The case with all of them; None where no search for a stack was made.
    """

    plain: Case
    attempts: tuple[Attempt, ...] = ()
    stack: tuple[str, ...] = ()
    stacked: Case | None = None

    @property
    def key(self) -> str:
        """Which tuning this is."""
        return self.plain.id
