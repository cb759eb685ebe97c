"""What analysis and doctor say."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval; low and high are None when n < 3.

    Attributes:
        n: How many independent values it is of: its interval has n-1 degrees of freedom. Of a
            speedup one fewer than blocks, see `analyze.place.without_place`.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    confidence: float = 0.95

    def times(self, factor: float) -> "Estimate":
        """Return the estimate in another unit; the factor is positive."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Estimate(self.value * factor, low, high, self.n, self.confidence)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `doctor` has found out about this machine.

    Attributes:
        subject: What it is about: `CPU`, `GPU` and so on.
        state: `ok`; `note`, something to know; `missing`, not installed; `problem`, something
            that spoils a measurement.
        text: What was found.
        advice: What to do about it; empty when there is nothing to do.
    """

    subject: str
    state: Literal["ok", "note", "missing", "problem"]
    text: str
    advice: str = ""
