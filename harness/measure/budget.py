"""Share a time limit among the comparisons to come."""

from collections.abc import Callable

from harness.records.protocol import FEWEST_BLOCKS

_LEAST_SHARE = 0.2  # of the rounds of a block: fewer are not worth the starts of its workers


class Budget:
    """Drops blocks and rounds, never comparisons, to stay under a limit in seconds; None for none.

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

    def blocks(
        self, wanted: int, block_seconds: float, round_seconds: float, comparisons: int = 1
    ) -> tuple[int, float]:
        """Return the number of blocks of some comparisons, and what share of their rounds fits.

        Known once the first block is done. Blocks are dropped as far as three remain, since fewer
        have no interval; then the rounds of the later blocks become fewer. Both depend on how long
        the first block took, never on its result.

        Args:
            wanted: Blocks of the protocol.
            block_seconds: Of the first block.
            round_seconds: Of these, the time of rounds; the rest is starts and warm-up.
            comparisons: That share the blocks.
        """
        if self._end is None:
            return wanted, 1.0
        left = (self._end - self._clock()) * comparisons / (max(0, self._left) + comparisons)
        fitting, fewest = 1 + int(left / block_seconds), min(wanted, FEWEST_BLOCKS)
        if fitting >= fewest:
            return min(wanted, fitting), 1.0
        too_long = block_seconds - left / (fewest - 1)
        if too_long <= (1 - _LEAST_SHARE) * round_seconds:
            return fewest, 1 - too_long / round_seconds
        return max(1, fitting), 1.0

    def allows(self, seconds: float) -> bool:
        """Whether a repeat of so many seconds ends before the limit; 0 is always allowed."""
        return self._end is None or not seconds or self._clock() + seconds <= self._end
