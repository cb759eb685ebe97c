"""The protocols of the three efforts; docs/decisions.md has the evidence for their numbers."""

import dataclasses

from harness import units
from harness.errors import BadCase
from harness.records import Protocol

# Blocks; seconds of a block, of a round, of the timed `fit` and of the warm-up; pairs per block.
EFFORTS = {
    "quick": Protocol("quick", 1, 1.2, 0.15, 0.2, 0.3, min_pairs=1, max_pairs=6),
    "default": Protocol("default", 3, 12.0, 0.25, 0.8, 1.0, min_pairs=2),
    "thorough": Protocol("thorough", 12, 12.0, 0.25, 3.0, 2.0, max_pairs=48),
}
FEWEST_BLOCKS = 3  # of an interval; the spread of two tells too little
FEW = 8  # comparisons; fewer tell too little about how much blocks scatter, see `moderation`
_FEW_BLOCKS, _FEW_BLOCK_SECONDS, _LOOKS = 6, 5.0, (3, 4)
_MISSES, _LOOK_MISSES = 0.05, 0.01  # intervals that leave the truth out: of all looks, of an early
_MOST_BLOCKS, _MANY_LOOKS = 24, (3, 4, 6, 8, 12, 16)  # of a comparison that goes on until decided
SEEDS = {"quick": 1, "default": 3, "thorough": 6}  # full trainings per recipe
# Measured with the bundled variants on two cores: import of the framework; start, warm-up and
# readings of a worker; workers per comparison.
_SERVER_SECONDS, _WORKER_SECONDS, _WORKERS = 13.0, 2.6, 1.3


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


def of_few(protocol: Protocol) -> Protocol:
    """Return the protocol for fewer than eight comparisons.

    Each is judged by its own blocks alone, so that default effort has more and shorter ones, and
    ends earlier where they decide.
    """
    if protocol.effort != "default":
        return protocol
    few = dataclasses.replace(protocol, blocks=_FEW_BLOCKS, looks=_LOOKS)
    return dataclasses.replace(few, block_seconds=_FEW_BLOCK_SECONDS)


def until_decided(protocol: Protocol) -> Protocol:
    """Return the protocol of comparisons that go on, to a limit, until they are decided."""
    few = of_few(protocol)
    return dataclasses.replace(few, blocks=_MOST_BLOCKS, looks=_MANY_LOOKS)


def blocks(protocol: Protocol) -> str:
    """Say how many blocks a comparison has."""
    first = f"{protocol.looks[0]} to " if protocol.looks else ""
    return f"{first}{units.plural(protocol.blocks, 'block')}"


def confidence(protocol: Protocol, blocks: int) -> float:
    """Return the confidence of an interval after so many blocks.

    Looks share the five percent of misses, so that the intervals of all looks together hold the
    truth in 95 % of runs, whichever of them is the last (repeated confidence intervals: Jennison
    and Turnbull 1989, "Interim analyses: the repeated confidence interval approach"; Bonferroni).
    """
    looks = len(protocol.looks)
    early = min(_LOOK_MISSES, _MISSES / (looks + 1))
    return 1 - (early if blocks in protocol.looks else _MISSES - early * looks)


def expected_seconds(protocol: Protocol, comparisons: int) -> float:
    """Estimate how long a run takes, before anything is known about its cases."""
    worker = protocol.block_seconds / 2 + protocol.fit_seconds + _WORKER_SECONDS
    return _SERVER_SECONDS + comparisons * protocol.blocks * _WORKERS * worker
