"""Readings of a worker against known loads."""

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from math import log

from harness.analyze import stats
from harness.commands.validate import loads
from harness.commands.validate.claims import Check, ratio
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import NoGpu
from harness.measure.machine.sampler import Sampler
from harness.measure.side import AnyLauncher, Setup, Side
from harness.records import Case, Round
from harness.records.protocol import EFFORTS
from harness.workloads import datasets

_STEPS = 3
_PROTOCOL = replace(EFFORTS["default"], warm_up_seconds=1.0, timeout_seconds=300.0)
_WITHIN_MEMORY, _WITHIN_CPU, _WITHIN_WATCHING = 0.02, 0.05, 0.01
_WATCHED_PAIRS = 12
_BEGUN_SECONDS = 0.1  # so that the sampler has started before the round


@contextlib.contextmanager
def opened(launcher: AnyLauncher, case: Case) -> Iterator[Side]:
    """Start a fresh worker, warmed up as in a block, without its sampler.

    Raises:
        WorkerFailed: the worker failed.
    """
    setup = Setup(_PROTOCOL, launcher, NoGpu("validation trains on the CPU"))
    side = Side.start("case", case, setup)
    try:
        side.sampler.stop()
        side.open()
        side.warm_up()
        yield side
    finally:
        side.end()


def timed(side: Side, steps: int) -> Round:
    """Time a round of a worker that is in no block."""
    return side.round(block=0, pair=0, position=0, steps=steps)


def _known(name: str) -> Case:
    threads = len(usable_cpus())
    return Case(f"{loads.__name__}:{name}", datasets.FITTED, 8, threads=threads)


def memory(launcher: AnyLauncher, workers: int) -> Check:
    """Measure peak RSS with and without a known allocation: the difference over the allocation."""

    def peak(name: str) -> int:
        with opened(launcher, _known(name)) as side:
            timed(side, _STEPS)
            side.end_rounds()
            return side.peak_bytes or 0

    shares = [(peak("ballast") - peak("plain")) / loads.BALLAST_BYTES for _ in range(workers)]
    return _all_within(
        f"peak RSS of {loads.BALLAST_BYTES // 2**20} MiB more, over those", shares, _WITHIN_MEMORY
    )


def cpu(launcher: AnyLauncher, workers: int) -> Iterator[Check]:
    """Measure CPU time: what is read over what the busy threads report."""
    for threads, name in loads.THREADS.items():
        if threads > len(usable_cpus()):
            continue
        shares = []
        for _ in range(workers):
            with opened(launcher, _known(name)) as side:
                found = timed(side, _STEPS)
            shares.append((found.cpu_seconds or 0.0) / (found.loss * found.steps))
        what = "1 busy thread" if threads == 1 else f"{threads} busy threads"
        yield _all_within(f"CPU utilization of {what}, read over known", shares, _WITHIN_CPU)


def _all_within(subject: str, shares: list[float], margin: float) -> Check:
    low, high = min(shares), max(shares)
    holds = low >= 1 - margin and high <= 1 + margin
    return Check(
        subject,
        f"within {100 * margin:.0f} %",
        f"{low:.3f} to {high:.3f}",
        len(shares),
        "holds" if holds else "falls short",
    )


def watching(launcher: AnyLauncher, case: Case, steps: int, blocks: int) -> Check:
    """Compare rounds with and without a sampler, in pairs, in fresh workers.

    Args:
        launcher: Starts the workers.
        case: What is trained.
        steps: Steps of a round.
        blocks: Workers.
    """
    logs = []
    for block in range(blocks):
        with opened(launcher, case) as side:
            pairs = [
                _watched_over_not(side, steps, watched_first=bool((block + pair) % 2))
                for pair in range(_WATCHED_PAIRS)
            ]
        logs.append(statistics.median(pairs))
    return ratio(
        "a round that is watched over one that is not",
        "within 1 %",
        stats.log_interval(logs),
        _WITHIN_WATCHING,
    )


def _watched_over_not(side: Side, steps: int, *, watched_first: bool) -> float:
    """Logarithm of the ratio of two rounds, one after the other."""
    first, second = (
        _round(side, steps, watched=watched) for watched in (watched_first, not watched_first)
    )
    return log(first / second) if watched_first else log(second / first)


def _round(side: Side, steps: int, *, watched: bool) -> float:
    sampler = Sampler(side.worker.pid, None)
    if watched:
        sampler.start()
    time.sleep(_BEGUN_SECONDS)
    try:
        return timed(side, steps).seconds
    finally:
        if watched:
            sampler.stop()
