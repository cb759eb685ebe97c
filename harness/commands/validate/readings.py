"""Readings of a worker against known loads."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from math import log

from harness import units
from harness.analyze import stats
from harness.commands.validate import loads
from harness.commands.validate.claims import Check, between, ratio
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu, NoGpu
from harness.measure.machine.sampler import Sampler
from harness.measure.side import AnyLauncher, Setup, Side
from harness.records import Case, Round
from harness.records.protocol import EFFORTS
from harness.workloads import datasets

_STEPS = 3
_PROTOCOL = replace(EFFORTS["default"], warm_up_seconds=1.0, timeout_seconds=300.0)
_WATCHED_PAIRS = 12
_NO_GPU = NoGpu("validation trains on the CPU")
_BEGUN_SECONDS = 0.1  # so that the sampler has started before the round


@contextlib.contextmanager
def opened(launcher: AnyLauncher, case: Case, gpu: AnyGpu = _NO_GPU) -> Iterator[Side]:
    """Start a fresh worker, warmed up as in a block, without its sampler."""
    setup = Setup(_PROTOCOL, launcher, gpu)
    side = Side.start(case, setup)
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


def paired(turns: Iterable[int], mine: Callable[[], float], theirs: Callable[[], float]) -> float:
    """Return the median of ln(mine / theirs) over pairs; in odd turns theirs comes first."""
    logs = []
    for turn in turns:
        if turn % 2:
            other, own = theirs(), mine()
        else:
            own, other = mine(), theirs()
        logs.append(log(own / other))
    return statistics.median(logs)


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
    subject = f"peak RSS of {loads.BALLAST_BYTES // 2**20} MiB more, over those"
    return between(subject, "within 2 %", shares, 0.98, 1.02)


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
        subject = f"CPU utilization of {units.plural(threads, 'busy thread')}, read over known"
        yield between(subject, "within 5 %", shares, 0.95, 1.05)


def watching(
    launcher: AnyLauncher, case: Case, steps: int, blocks: int, gpu: AnyGpu = _NO_GPU
) -> Check:
    """Compare rounds of so many steps with and without a sampler, in pairs, in fresh workers."""
    logs = [_watched_over_not(launcher, case, steps, block, gpu) for block in range(blocks)]
    return ratio("a round that is watched over one that is not", stats.log_interval(logs), 0.01)


def _watched_over_not(
    launcher: AnyLauncher, case: Case, steps: int, block: int, gpu: AnyGpu
) -> float:
    with opened(launcher, case, gpu) as side:

        def watched() -> float:
            sampler = Sampler(side.worker.pid, gpu if case.device == "gpu" else None)
            sampler.start()
            try:
                return unwatched()
            finally:
                sampler.stop()

        def unwatched() -> float:
            time.sleep(_BEGUN_SECONDS)
            return timed(side, steps).seconds

        turns = range(block + 1, block + 1 + _WATCHED_PAIRS)  # even blocks begin unwatched
        return paired(turns, watched, unwatched)
