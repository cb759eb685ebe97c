"""Which comparisons are measured together: those that share a case, as far as there is room."""

from collections.abc import Iterable, Iterator

from harness.measure.block import is_interleaved
from harness.measure.group import Comparison, Wish
from harness.records import Case
from harness.workloads import levers

MOST_WORKERS = 16  # more would lie too far from each other: a turn takes a quarter second each

Planned = dict[Comparison, Wish]


class Groups:
    """Comparisons that are planned, by the group in which each is measured."""

    def __init__(self) -> None:
        self._groups: list[Planned] = []

    def __contains__(self, comparison: Comparison) -> bool:
        """Whether a comparison is planned."""
        return any(comparison in group for group in self._groups)

    def __iter__(self) -> Iterator[tuple[Comparison, Wish]]:
        """Yield all that are planned."""
        for group in self._groups:
            yield from group.items()

    def add(self, comparison: Comparison, wish: Wish) -> None:
        """Plan a comparison: with others of its cases if there are such, else in a new group."""
        if comparison in self:
            return
        group = next((g for g in self._groups if _fits(comparison, g)), None)
        if group is None:
            group = {}
            self._groups.append(group)
        group[comparison] = wish

    def coming(self) -> Iterator[Case]:
        """Yield the cases that are planned, in the order of their groups."""
        for group in self._groups:
            for comparison in group:
                yield from comparison

    def take(self, comparison: Comparison, wish: Wish) -> Planned:
        """Remove and return the group of a comparison; one of its own if none is planned."""
        for group in self._groups:
            if comparison in group:
                self._groups.remove(group)
                return group
        return {comparison: wish}


def _cases(comparisons: Iterable[Comparison]) -> set[Case]:
    return {case for comparison in comparisons for case in comparison}


def _fits(comparison: Comparison, group: Planned) -> bool:
    return (
        _kind(comparison) == _kind(next(iter(group)))
        and not _cases(group).isdisjoint(comparison)
        and len(_cases([*group, comparison])) < MOST_WORKERS
    )


def _kind(comparison: Comparison) -> tuple[object, ...]:
    """Comparisons of one kind can be measured together: the same way, in the same environment."""
    its = [(case.version, *levers.environment(case).items()) for case in comparison]
    return is_interleaved(*comparison), *its
