"""Results of the analysis and of `doctor`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval; low and high are None if n < 3.

    `n` independent values give n-1 degrees of freedom. For a speedup it is one fewer than blocks,
    see `analyze.start_order.without_start_order`.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    confidence: float = 0.95

    def times(self, factor: float) -> "Estimate":
        """Return the estimate in another unit; the factor is positive."""
        return self.mapped(lambda value: value * factor)

    def mapped(self, change: Callable[[float], float]) -> "Estimate":
        """Apply an increasing function to the value and to the ends of the interval."""
        low, high = (None if end is None else change(end) for end in (self.low, self.high))
        return Estimate(change(self.value), low, high, self.n, self.confidence)

    def inverse(self) -> "Estimate":
        """Return the estimate of one over a positive value: a rate for a time."""
        low, high = (None if end is None else 1 / end for end in (self.high, self.low))
        return Estimate(1 / self.value, low, high, self.n, self.confidence)

    def holds(self, value: float) -> bool | None:
        """Whether the interval contains a value; None without an interval."""
        return None if self.low is None or self.high is None else self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `doctor` found out about this machine."""

    subject: str  # `CPU`, `GPU` and so on
    # `missing` is not installed, a `problem` disturbs a measurement.
    state: Literal["ok", "note", "missing", "problem"]
    text: str
    advice: str = ""  # what to do
