"""Which comparisons are measured together: those that share a case, as far as there is room."""

import math
from dataclasses import dataclass, field

from harness.measure.block import is_interleaved
from harness.measure.group import Comparison
from harness.records import Case
from harness.workloads import levers

MOST_WORKERS = 16  # more would lie too far from each other: a turn takes a quarter second each


@dataclass
class Planned:
    """Comparisons that are measured together.

    Attributes:
        early_steps: See `block.BlockRun`; as many for all.
        screened: See `Group`.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    early_steps: int | None = None
    screened: set[Comparison] = field(default_factory=set)

    @property
    def cases(self) -> set[Case]:
        """The cases of all comparisons."""
        return {case for comparison in self.comparisons for case in comparison}


class Groups:
    """Comparisons that are planned, by the group in which each is measured."""

    def __init__(self) -> None:
        self._groups: list[Planned] = []

    def add(
        self, comparison: Comparison, early_steps: int | None = None, *, screened: bool = False
    ) -> None:
        """Plan a comparison: with others of its cases if there are such, else in a new group."""
        if any(comparison in group.comparisons for group in self._groups):
            return
        group = next((g for g in self._groups if _fits(comparison, g)), None)
        if group is None:
            group = Planned()
            self._groups.append(group)
        group.comparisons.append(comparison)
        group.early_steps = _common(group.early_steps, early_steps)
        if screened:
            group.screened.add(comparison)

    def take(self, comparison: Comparison, early_steps: int | None = None) -> Planned:
        """Remove and return the group of a comparison; one of its own if none is planned."""
        for group in self._groups:
            if comparison in group.comparisons:
                self._groups.remove(group)
                return group
        return Planned([comparison], early_steps)


def _fits(comparison: Comparison, group: Planned) -> bool:
    return (
        _kind(comparison) == _kind(group.comparisons[0])
        and not group.cases.isdisjoint(comparison)
        and len(group.cases.union(comparison)) < MOST_WORKERS
    )


def _kind(comparison: Comparison) -> tuple[object, ...]:
    """Comparisons of one kind can be measured together: the same way, in the same environment."""
    environments = [tuple(levers.environment(case).items()) for case in comparison]
    return is_interleaved(*comparison), *environments


def _common(one: int | None, other: int | None) -> int | None:
    return math.lcm(one, other) if one and other else one or other
