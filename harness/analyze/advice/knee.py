"""The smallest value of an axis that is shown to be nearly as fast as the best."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.analyze import roles, stats
from harness.records import Estimate, Measurement

WITHIN = 0.95  # of the best throughput: 5 % more is seldom worth several times the memory


class Ratios:
    """Throughputs of values of an axis over each other, by paired comparisons.

    Args:
        axis: A field of `Case`.
        measurements: Of cases that differ in it alone.

    Attributes:
        compared: The measurements of two cases that differ.
        values: Those that have a common reference, in order, the reference among them.
    """

    def __init__(self, axis: str, measurements: Sequence[Measurement]) -> None:
        self.compared = [
            m for m in measurements if roles.differs_only_in(axis, m.case, m.reference)
        ]
        self._logs = {
            (getattr(m.case, axis), getattr(m.reference, axis)): stats.speedup_logs(m)
            for m in self.compared
        }
        references = [reference for _, reference in self._logs]
        self._reference: Any = max(references, key=references.count, default=None)
        against = {value for value, other in self._logs if other == self._reference}
        self.values: list[Any] = sorted({*against, self._reference}) if against else []

    def best(self) -> Any:
        """The value with the highest throughput a sample."""
        return max(self.values, key=self._log)

    def over(self, value: Any, other: Any) -> Estimate:
        """Throughput of a value over another's: compared directly, or both with the reference.

        In the second case the logarithms of both speedups are subtracted; see
        `stats.sum_interval`.
        """
        return stats.exponential(stats.sum_interval(self._between(value, other)))

    def _log(self, value: Any) -> float:
        logs = self._logs.get((value, self._reference))
        return 0.0 if logs is None else statistics.fmean(logs)

    def _between(self, value: Any, other: Any) -> list[Sequence[float]]:
        if (value, other) in self._logs:
            return [self._logs[value, other]]
        if (other, value) in self._logs:
            return [[-log for log in self._logs[other, value]]]
        reference = self._reference
        return [self._logs[value, reference], [-log for log in self._logs[other, reference]]]


@dataclass(frozen=True, slots=True)
class Knee:
    """The smallest value that is enough, or that none is shown to be.

    Attributes:
        value: None where the intervals are too wide to tell.
        best: The value with the highest throughput a sample.
        over_best: Throughput of every other value over that of the best.
        undecided: Values that may be within 5 % of the best, too: smaller than `value`, or any
            where there is none.
    """

    value: Any
    best: Any
    over_best: dict[Any, Estimate]
    undecided: tuple[Any, ...]


def knee(ratios: Ratios) -> Knee:
    """Find the smallest value that is shown to be within 5 % of every other one.

    The lower ends of its ratios count, not their values: those of the best as well, which
    may be the best by chance. Smaller values that may do, too, are undecided.
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
