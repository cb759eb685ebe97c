"""Comparisons that try the method: pairs of cases whose true ratio is known."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from harness.records import Case, Protocol, comparison_key
from harness.records import protocol as protocols

USUAL = ("baseline", 256)  # variant and batch size
SHORT = ("improved", 16)  # its steps are short: a hundred fit into a round
CLAIMED_STEPS = 100  # per round: 2, 5, 10 and 25 % of it are whole numbers

_BRIEF = Protocol(
    "brief",
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
        case: Differs from the reference in the seed only, so that the names differ.
        slowdown: Share of additional steps that the case runs without reporting them.
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
        """The true speedup."""
        return 1 / (1 + self.slowdown)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried.

    Attributes:
        trials: By part, how many comparisons with a case that is slower by a known share.
        readings: Number of workers per known load.
        blocks: Of the other ratios: harness against Keras, with and without sampler.
        simulated: Number of comparisons whose blocks come from a random generator.
    """

    protocol: Protocol
    trials: Mapping[str, Mapping[float, int]]
    readings: int
    blocks: int
    simulated: int

    def comparisons(self, parts: Collection[str]) -> int:
        """Return the number of comparisons that these parts measure."""
        return sum(sum(self.trials[part].values()) for part in self.trials if part in parts)


EFFORTS = {
    "quick": Effort(
        protocol=_BRIEF,
        trials={
            "noise": {0.0: 4},
            "slowdowns": {0.05: 1, 0.10: 1, 0.25: 1},
            "disturbed": {0.0: 1},
        },
        readings=2,
        blocks=3,
        simulated=4000,
    ),
    "thorough": Effort(
        protocol=protocols.EFFORTS["default"],
        trials={
            "noise": {0.0: 60},
            "slowdowns": {0.02: 8, 0.05: 15, 0.10: 15, 0.25: 4},
            "disturbed": {0.0: 10, 0.10: 5},
        },
        readings=5,
        blocks=12,
        simulated=20_000,
    ),
}


def slowed(case: Case, counts: Mapping[float, int]) -> list[Trial]:
    """Return comparisons of a case with itself, slower by a known share, by number per share.

    Its two sides have different names. The shares alternate, so that drift of the machine affects
    all of them.
    """
    most = max(counts.values(), default=0)
    shares = [share for turn in range(most) for share in counts if turn < counts[share]]
    return [
        Trial(replace(case, seed=2 * number + 1), replace(case, seed=2 * number), share)
        for number, share in enumerate(shares)
    ]
