"""Energy of the CPUs in pairs: as times are compared, with joules in place of seconds.

The counters are those of whole processor packages during a round: what the idle machine and other
processes consume is in them, on both sides alike.
"""

import dataclasses
import math
from collections.abc import Iterable

from harness.analyze import stats
from harness.records import Estimate, Measurement, Round


def speedup(m: Measurement) -> Estimate | None:
    """Return the reference's joules per sample over the case's, above 1 for a thrifty case.

    None where a worker has no round with a reading. The idle power is in both.
    """
    if "gpu" in (m.case.device, m.reference.device):
        return None  # the GPU consumes most of the energy
    joules = tuple(
        dataclasses.replace(r, seconds=r.package_joules)
        for r in m.rounds
        if r.package_joules is not None
    )
    if not joules or _workers(m.rounds) != _workers(joules):
        return None
    return stats.speedup(dataclasses.replace(m, rounds=joules))


def per_sample(blocks: Iterable[Iterable[Round]], batch_size: int) -> Estimate | None:
    """Return joules of packages per sample, over the blocks that have readings."""
    found = []
    for block in blocks:
        read = [(r.package_joules, r.steps) for r in block if r.package_joules is not None]
        if read:
            joules, steps = (math.fsum(column) for column in zip(*read, strict=True))
            found.append(joules / steps / batch_size)
    return stats.log_interval([math.log(one) for one in found]) if found else None


def _workers(rounds: Iterable[Round]) -> set[tuple[int, str]]:
    return {(r.block, r.role) for r in rounds}
