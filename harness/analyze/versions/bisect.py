"""On which side of a slowdown a commit lies, and how sure that is."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.analyze import stats
from harness.analyze.moderation import Speedups
from harness.records import Estimate, Measurement


@dataclass(frozen=True, slots=True)
class Side:
    """What a comparison of a commit with the good one shows.

    Attributes:
        slow: Whether the commit lies nearer to the slow one.
        wrong: Probability at most that the other side is true.
    """

    speedup: Estimate
    slow: bool
    wrong: float


def halfway(slowdown: Measurement) -> float:
    """Return the speedup in the middle, on a log scale, between none and that of a slow commit."""
    return math.sqrt(Speedups().speedup(slowdown).value)


def is_slower(m: Measurement) -> bool:
    """Whether the whole interval lies below 1."""
    high = Speedups().speedup(m).high
    return high is not None and high < 1


def is_decided(m: Measurement, limit: float | None) -> bool:
    """Whether the interval leaves out a limit; without one, 1."""
    return Speedups().speedup(m).holds(limit or 1.0) is False


def side(m: Measurement, limit: float, looks: Iterable[int]) -> Side:
    """Judge a commit by a limit.

    The probability is that of a t test against the limit, times the looks at which the comparison
    could have ended (Bonferroni).
    """
    mean, blocks = Speedups().mean(m), len(stats.logs_by_block(m))
    distance = mean.value - math.log(limit)
    times = 1 + sum(look < blocks for look in looks)
    wrong = 0.5
    if mean.variance:
        tail = stats.student_t_tail(abs(distance) / math.sqrt(mean.variance), mean.freedom)
        wrong = min(0.5, times * tail)
    return Side(Speedups().speedup(m), distance < 0, wrong)


def confidence(sides: Iterable[Side]) -> float:
    """Return the probability at least that all sides are true."""
    return math.prod(1 - one.wrong for one in sides)
