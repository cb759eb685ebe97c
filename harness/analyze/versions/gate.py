"""Fail where a ratio is shown to be beyond a threshold: slower, or more memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.analyze.analysis import Analysis
from harness.analyze.moderation import Speedups
from harness.analyze.versions import changes
from harness.records import Estimate, Failure, Measurement, Outcome

Name = Callable[[Outcome], str]  # of a comparison
Named = tuple[str, Estimate | None]
Answer = Literal["beyond", "excluded", "undecided"]
What = Literal["slower", "more memory"]
UNTIL_DECIDED = 0.05  # the slowdown that is to be shown or excluded where no threshold is given


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of one ratio."""

    name: str
    ratio: Estimate  # here over the reference: above 1 is slower, or more
    answer: Answer
    sees_from: float | None  # as a share: what half of such runs would show to be beyond


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer to `--fail-if-slower` or `--fail-if-more-memory` of a run of two versions."""

    what: What
    threshold: float  # as a share
    judgements: tuple[Judgement, ...]
    failed: tuple[str, ...]  # comparisons that have no ratio

    @property
    def crossed(self) -> bool:
        """Whether it fails."""
        return bool(self.failed) or any(one.answer == "beyond" for one in self.judgements)


def answer(ratio: Estimate, share: float) -> Answer:
    """Judge a ratio, above 1 for slower, by its whole interval."""
    if ratio.low is None or ratio.high is None:
        return "undecided"
    if ratio.low > 1 + share:
        return "beyond"
    return "excluded" if ratio.high <= 1 + share else "undecided"


def sees_from(ratio: Estimate, share: float) -> float | None:
    """Return the excess whose interval, as wide as this one, would lie beyond half of the time."""
    if ratio.low is None:
        return None
    return (1 + share) * ratio.value / ratio.low - 1


def is_decided(m: Measurement, slower: float | None, more_memory: float | None) -> bool:
    """Whether each threshold is shown to be crossed, or excluded, by the blocks so far."""
    ratios = (_slower(Speedups(), m), slower), (changes.peak_memory(m), more_memory)
    return all(
        answer(ratio, share) != "undecided"
        for ratio, share in ratios
        if ratio is not None and share is not None
    )


def judge(
    analysis: Analysis, slower: float | None, more_memory: float | None, name: Name
) -> list[Gate]:
    """Judge the comparisons of versions of a run by each threshold that is given."""
    outcomes = [o for o in analysis.run.outcomes if changes.is_of_versions(o)]
    measured = [o for o in outcomes if isinstance(o, Measurement)]
    failed = tuple(name(o) for o in outcomes if isinstance(o, Failure))
    times = [(name(m), _slower(analysis.speedups, m)) for m in measured]
    peaks = [(name(m), changes.peak_memory(m)) for m in measured]
    both: list[tuple[What, float | None, Sequence[Named]]] = [
        ("slower", slower, times),
        ("more memory", more_memory, peaks),
    ]
    return [
        of_ratios(what, share, ratios, failed) for what, share, ratios in both if share is not None
    ]


def of_ratios(
    what: What, share: float, ratios: Iterable[Named], failed: tuple[str, ...] = ()
) -> Gate:
    """Judge ratios, above 1 for slower or more, by a threshold; one that is None is left out."""
    return Gate(what, share, tuple(_judged(ratios, share)), failed)


def _slower(speedups: Speedups, m: Measurement) -> Estimate:
    return speedups.speedup(m).inverse()


def _judged(ratios: Iterable[Named], share: float) -> Iterator[Judgement]:
    for name, ratio in ratios:
        if ratio is not None:
            yield Judgement(name, ratio, answer(ratio, share), sees_from(ratio, share))
