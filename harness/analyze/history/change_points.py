"""Where a series of values with intervals changes its mean.

The partition into segments of constant mean that has the smallest weighted sum of squares plus a
penalty per change (optimal partitioning: Jackson and others 2005, "An algorithm for optimal
partitioning of data on an interval"). Unlike a search that splits in two and again, it finds a
change and its reversal. docs/evidence/change_points.py holds it against the E-divisive means of
Apache Otava.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analyze import stats
from harness.records import Estimate

FEWEST_POINTS = 3  # of a segment: two values may be off together
_FALSE_ALARMS = 0.01  # of histories without a change
_SIMULATED = 4000
_MEDIAN_OF_SQUARE = 0.4549364  # of a standard normal value
_SEED = 1


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of the mean.

    Attributes:
        index: Of the first value after the change.
        size: Mean after less mean before, with its 95 % interval.
    """

    index: int
    size: Estimate


def find(values: Sequence[float], errors: Sequence[float]) -> list[ChangePoint]:
    """Find the changes of a series.

    Args:
        values: In their order, for example logarithms of ratios.
        errors: The standard error of each.

    Returns:
        The changes in their order; none for fewer than twice three values.
    """
    n = len(values)
    if n < 2 * FEWEST_POINTS:
        return []
    y, weights = np.asarray(values, float), _weights(values, errors)
    cuts = _partition(y, weights, _penalty(n))
    means = levels(values, errors, cuts)
    spreads = [1 / float(weights[s].sum()) for s in _segments(cuts, n)]
    freedom = n - len(means)
    found = []
    for number, cut in enumerate(cuts):
        size = means[number + 1] - means[number]
        half = stats.spread([(spreads[number] + spreads[number + 1], freedom)])
        found.append(ChangePoint(cut, Estimate(size, size - half, size + half, n)))
    return found


def levels(values: Sequence[float], errors: Sequence[float], cuts: Sequence[int]) -> list[float]:
    """Return the mean of each segment; a value with a wide interval weighs little."""
    y, weights = np.asarray(values, float), _weights(values, errors)
    segments = _segments(cuts, len(y))
    return [float(np.average(y[s], weights=weights[s])) for s in segments]


def _segments(cuts: Sequence[int], n: int) -> list[slice]:
    return [slice(a, b) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


def _weights(values: Sequence[float], errors: Sequence[float]) -> np.ndarray:
    """Return the inverse of each variance: of the value, and between values."""
    variances = np.square(np.asarray(errors, float)) + scatter_between(values, errors) ** 2
    if not variances.all():  # values without any scatter
        variances = np.full(len(variances), max(1e-12, float(variances.mean())))
    weights: np.ndarray = 1 / variances
    return weights


def scatter_between(values: Sequence[float], errors: Sequence[float]) -> float:
    """Return the standard deviation between neighbors beyond their errors.

    By the median of squared differences, which a few changes do not move.
    """
    differences = np.square(np.diff(np.asarray(values, float)))
    if not len(differences):
        return 0.0
    squares = np.square(np.asarray(errors, float))
    known = squares[:-1] + squares[1:]
    typical = float(np.median(differences)) / _MEDIAN_OF_SQUARE
    return math.sqrt(max(0.0, typical - float(np.median(known))) / 2)


def _partition(y: np.ndarray, weights: np.ndarray, penalty: float) -> list[int]:
    """Return where the segments of the best partition begin, but for the first."""
    n = len(y)
    total = np.concatenate([[0.0], np.cumsum(weights)])
    first = np.concatenate([[0.0], np.cumsum(weights * y)])
    second = np.concatenate([[0.0], np.cumsum(weights * y * y)])
    best, last = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    best[0] = -penalty
    for end in range(FEWEST_POINTS, n + 1):
        starts = np.arange(0, end - FEWEST_POINTS + 1)
        sums = first[end] - first[starts]
        costs = second[end] - second[starts] - sums**2 / (total[end] - total[starts])
        scores = best[starts] + costs + penalty
        last[end] = starts[int(np.argmin(scores))]
        best[end] = float(scores.min())
    cuts, end = [], n
    while end:
        end = int(last[end])
        if end:
            cuts.append(end)
    return sorted(cuts)


@functools.lru_cache
def _penalty(n: int) -> float:
    """Return the gain of a single split that one in a hundred series of n without a change has.

    Simulated with the scatter estimated, as it is from the series itself.
    """
    noise = np.random.default_rng(_SEED).standard_normal((_SIMULATED, n))
    differences = np.square(np.diff(noise, axis=1))
    variances = np.median(differences, axis=1) / _MEDIAN_OF_SQUARE / 2
    sums = np.cumsum(noise, axis=1)
    ends = np.arange(FEWEST_POINTS, n - FEWEST_POINTS + 1)
    left = sums[:, ends - 1]
    right = sums[:, -1:] - left
    gains = left**2 / ends + right**2 / (n - ends) - sums[:, -1:] ** 2 / n
    largest = gains.max(axis=1) / np.maximum(variances, 1e-12)
    return float(np.quantile(largest, 1 - _FALSE_ALARMS))
