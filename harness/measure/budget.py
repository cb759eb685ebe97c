"""Share a time limit among the comparisons to come."""

from collections.abc import Callable


class Budget:
    """Drops blocks, never comparisons, to stay under a limit in seconds; None for none.

    `comparisons` is the number of those to come; the clock gives monotonic seconds.
    """

    def __init__(self, seconds: float | None, comparisons: int, clock: Callable[[], float]) -> None:
        self._end = None if seconds is None else clock() + seconds
        self._left = comparisons
        self._clock = clock

    def expect(self, comparisons: int) -> None:
        """Set the number of comparisons to come."""
        self._left = comparisons

    def expect_more(self, comparisons: int) -> None:
        """Add to the number of comparisons to come."""
        self._left += comparisons

    def next_comparison(self) -> None:
        """Count a comparison that begins."""
        self._left -= 1

    def blocks(self, wanted: int, block_seconds: float, comparisons: int = 1) -> int:
        """Return the number of blocks of some comparisons, once their first is done.

        The number depends on how long the first block took, never on its result.
        """
        if self._end is None:
            return wanted
        share = (self._end - self._clock()) * comparisons / (max(0, self._left) + comparisons)
        return max(1, min(wanted, 1 + int(share / block_seconds)))

    def allows(self, seconds: float) -> bool:
        """Whether a repeat of so many seconds ends before the limit; 0 is always allowed."""
        return self._end is None or not seconds or self._clock() + seconds <= self._end
