"""The protocols of the three efforts; docs/measuring.md has the evidence for their numbers."""

import dataclasses

from harness.errors import BadCase
from harness.records import Protocol

# Blocks; seconds of a block, of a round, of the timed `fit` and of the warm-up; pairs per block.
EFFORTS = {
    "quick": Protocol("quick", 2, 1.2, 0.15, 0.2, 0.3, min_pairs=1, max_pairs=6),
    "default": Protocol("default", 4, 8.0, 0.25, 0.8, 1.0, min_pairs=2),
    "thorough": Protocol("thorough", 12, 12.0, 0.25, 3.0, 2.0, max_pairs=48),
}
SEEDS = {"quick": 1, "default": 3, "thorough": 6}  # full trainings per recipe
# Measured with the bundled variants on two cores: import of the framework; start and warm-up of
# the two workers of a block.
_SERVER_SECONDS, _WORKERS_SECONDS = 13.0, 3.2


def choose(effort: str, steps: int | None = None, timeout_seconds: float = 300.0) -> Protocol:
    """Return the protocol of an effort, with the user's changes.

    Raises:
        BadCase: no such effort, or steps or timeout not positive.
    """
    if effort not in EFFORTS:
        raise BadCase(f"no effort {effort!r}; known: {', '.join(EFFORTS)}")
    if steps is not None and steps < 1:
        raise BadCase(f"steps must be at least 1, not {steps}")
    if timeout_seconds <= 0:
        raise BadCase(f"the timeout must be positive, not {timeout_seconds:g}")
    return dataclasses.replace(EFFORTS[effort], steps=steps, timeout_seconds=timeout_seconds)


def expected_seconds(protocol: Protocol, comparisons: int) -> float:
    """Estimate how long a run takes, before anything is known about its cases."""
    block = protocol.block_seconds + protocol.fit_seconds + _WORKERS_SECONDS
    return _SERVER_SECONDS + comparisons * protocol.blocks * block
