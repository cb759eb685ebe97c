"""Find the smallest value of an axis that is nearly as fast as the best."""

import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.analyze import roles, stats
from harness.analyze.moderation import Speedups
from harness.records import Estimate, Measurement

WITHIN = 0.95  # of the best throughput; the last 5 % are seldom worth several times the memory


class Ratios:
    """Ratios of the throughputs of the values of an axis, by paired comparisons."""

    def __init__(self, axis: str, measurements: Sequence[Measurement], speedups: Speedups) -> None:
        self._speedups = speedups
        differs = roles.differs_only_in
        self.compared = [m for m in measurements if differs(axis, m.case, m.reference)]
        value = operator.attrgetter(axis)
        self._by_values = {(value(m.case), value(m.reference)): m for m in self.compared}
        references = [reference for _, reference in self._by_values]
        self._reference: Any = max(references, key=references.count, default=None)
        # The values with a common reference, and that of the reference.
        against = {value for value, other in self._by_values if other == self._reference}
        self.values: list[Any] = sorted({*against, self._reference}) if against else []

    def best(self) -> Any:
        """Return the value with the highest throughput."""
        return max(self.values, key=self._log)

    def over(self, value: Any, other: Any) -> Estimate:
        """Return the throughput of a value over that of another.

        Values that were not compared directly are compared through the reference: the logs of
        both speedups are subtracted; see `Speedups.product`.
        """
        if (value, other) in self._by_values:
            return self._speedups.product([self._by_values[value, other]])
        if (other, value) in self._by_values:
            return self._speedups.product([self._by_values[other, value]], [-1.0])
        both = [self._by_values[one, self._reference] for one in (value, other)]
        return self._speedups.product(both, [1.0, -1.0])

    def _log(self, value: Any) -> float:
        found = self._by_values.get((value, self._reference))
        return 0.0 if found is None else statistics.fmean(stats.speedup_logs(found))


@dataclass(frozen=True, slots=True)
class Knee:
    """The smallest value that is enough."""

    value: Any  # None where the intervals are too wide
    best: Any  # the value with the highest throughput
    over_best: dict[Any, Estimate]  # throughput of every other value over that of the best
    undecided: tuple[Any, ...]  # smaller, or any without a value, that may be within 5 % of best


def knee(ratios: Ratios) -> Knee:
    """Find the smallest value that is within 5 % of every other value.

    The lower end of each ratio decides, also for the best value, which may be best by chance.
    """
    best = ratios.best()
    over_best = {value: ratios.over(value, best) for value in ratios.values if value != best}
    enough = (
        value
        for value in ratios.values
        if all((ratios.over(value, o).low or 0.0) >= WITHIN for o in ratios.values if o != value)
    )
    value = next(enough, None)
    undecided = tuple(
        other
        for other, ratio in over_best.items()
        if (value is None or other < value) and (ratio.high is None or ratio.high >= WITHIN)
    )
    return Knee(value, best, over_best, undecided)
