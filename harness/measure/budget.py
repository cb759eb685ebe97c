"""Share a time limit among the comparisons still to come."""

from collections.abc import Callable


class Budget:
    """Drops blocks, never comparisons, to stay under a limit.

    Args:
        seconds: The limit, or None for none.
        comparisons: How many there will be.
        clock: Monotonic seconds.
    """

    def __init__(self, seconds: float | None, comparisons: int, clock: Callable[[], float]) -> None:
        self._end = None if seconds is None else clock() + seconds
        self._left = comparisons
        self._clock = clock

    def expect(self, comparisons: int) -> None:
        """Set how many comparisons are still to come."""
        self._left = comparisons

    def expect_more(self, comparisons: int) -> None:
        """Add to how many comparisons are still to come."""
        self._left += comparisons

    def next_comparison(self) -> None:
        """Note that one comparison more has begun."""
        self._left -= 1

    def blocks(self, wanted: int, block_seconds: float) -> int:
        """Decide, once the first block is done, how many a comparison gets in all.

        The length of the first block decides, never what it showed.
        """
        if self._end is None:
            return wanted
        share = (self._end - self._clock()) / (max(0, self._left) + 1)
        return max(1, min(wanted, 1 + int(share / block_seconds)))

    def allows(self, seconds: float) -> bool:
        """Whether a repeat that takes about so long ends before the limit; 0 for what is none."""
        return self._end is None or not seconds or self._clock() + seconds <= self._end
