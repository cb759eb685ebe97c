"""What is compared to try the method: pairs of cases whose true ratio is known."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.records import Case, Protocol, comparison_key
from harness.records import protocol as protocols

MODEL, BATCH = "baseline", 256
SHORT_MODEL, SHORT_BATCH = "improved", 16  # its steps are short: a hundred fit into a round
CLAIMED_STEPS = 100  # a round; a whole number of them is 2, 5, 10 or 25 % more

_BRIEF = Protocol(
    effort="brief",
    blocks=4,
    block_seconds=2.0,
    round_seconds=0.2,
    fit_seconds=0.2,
    warm_up_seconds=0.5,
    min_pairs=2,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """A comparison with known truth.

    Attributes:
        case: What is compared; with its reference but for the seed, so that both have names.
        reference: With what.
        slowdown: Share of further steps that the case runs and does not count.
    """

    case: Case
    reference: Case
    slowdown: float = 0.0

    @property
    def key(self) -> str:
        """Which comparison this is."""
        return comparison_key(self.case, self.reference)

    @property
    def truth(self) -> float:
        """The speedup that there is: one of two equal cases that takes longer."""
        return 1 / (1 + self.slowdown)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried.

    Attributes:
        protocol: Of all comparisons.
        noise: Comparisons of a case with itself.
        slowdowns: Comparisons by slowdown.
        disturbed: Comparisons with a competitor in a third of the blocks, by slowdown.
        readings: Workers with a known load, of each.
        blocks: Of the other ratios: harness against Keras, watched against not.
        simulated: Comparisons whose blocks come from a random generator.
    """

    protocol: Protocol
    noise: int
    slowdowns: Mapping[float, int]
    disturbed: Mapping[float, int]
    readings: int
    blocks: int
    simulated: int

    def comparisons(self, parts: Collection[str]) -> int:
        """How many comparisons these parts measure."""
        counts = {
            "noise": self.noise,
            "slowdowns": sum(self.slowdowns.values()),
            "disturbed": sum(self.disturbed.values()),
        }
        return sum(count for part, count in counts.items() if part in parts)


EFFORTS = {
    "quick": Effort(
        protocol=_BRIEF,
        noise=4,
        slowdowns={0.05: 1, 0.10: 1, 0.25: 1},
        disturbed={0.0: 1},
        readings=2,
        blocks=3,
        simulated=4000,
    ),
    "thorough": Effort(
        protocol=protocols.EFFORTS["default"],
        noise=60,
        slowdowns={0.02: 8, 0.05: 15, 0.10: 15, 0.25: 4},
        disturbed={0.0: 10, 0.10: 5},
        readings=5,
        blocks=12,
        simulated=20_000,
    ),
}


def equal(case: Case, comparisons: int) -> list[Trial]:
    """The same case under two names, so many times."""
    return slowed(case, {0.0: comparisons})


def slowed(case: Case, counts: Mapping[float, int]) -> list[Trial]:
    """A case that is slower by a known share, so many times each.

    They take turns, so that no share has an hour of its own.
    """
    most = max(counts.values(), default=0)
    shares = [share for turn in range(most) for share in counts if turn < counts[share]]
    return [
        Trial(
            dataclasses.replace(case, seed=2 * number + 1),
            dataclasses.replace(case, seed=2 * number),
            share,
        )
        for number, share in enumerate(shares)
    ]
