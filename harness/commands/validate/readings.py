"""What a worker reports, against loads that are known."""

import contextlib
import statistics
import time
from collections.abc import Iterator
from math import log
from typing import Any

from harness.analyze import stats
from harness.commands.validate import loads
from harness.commands.validate.claims import Check, ratio
from harness.measure.launcher import Launcher
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.sampler import Sampler
from harness.measure.worker_process import WorkerProcess
from harness.records import Case, to_json
from harness.workloads import datasets

_STEPS = 3
_TIMEOUT = 300.0
_WITHIN_MEMORY, _WITHIN_CPU, _WITHIN_WATCHING = 0.02, 0.05, 0.01
_WATCHED_PAIRS = 12
_BEGUN_SECONDS = 0.1  # a sampler starts with its worker, not with a round


@contextlib.contextmanager
def opened(launcher: Launcher, case: Case) -> Iterator[WorkerProcess]:
    """A fresh worker, warmed up as in a block; it is ended at the end.

    Raises:
        WorkerFailed: it failed.
    """
    worker = launcher.start(case, _TIMEOUT)
    try:
        worker.ask("open", case=to_json(case), cpus=usable_cpus())
        worker.ask("warm_up", seconds=1.0, floor_seconds=0.0)
        yield worker
    finally:
        launcher.end(worker)


def _known(name: str) -> Case:
    threads = len(usable_cpus())
    return Case(f"{loads.__name__}:{name}", datasets.FITTED, 8, threads=threads)


def memory(launcher: Launcher, workers: int) -> Check:
    """Peak RSS with a known allocation, less that without it, over the allocation."""

    def peak(name: str) -> int:
        with opened(launcher, _known(name)) as worker:
            worker.ask("round", steps=_STEPS)
            return int(worker.ask("counters")["peak_rss_bytes"])

    shares = [(peak("ballast") - peak("plain")) / loads.BALLAST_BYTES for _ in range(workers)]
    return _all_within(
        f"peak RSS of {loads.BALLAST_BYTES // 2**20} MiB more, over those", shares, _WITHIN_MEMORY
    )


def cpu(launcher: Launcher, workers: int) -> Iterator[Check]:
    """CPU time as it is read, over what the busy threads say they used."""
    for threads, name in loads.THREADS.items():
        if threads > len(usable_cpus()):
            continue
        shares = []
        for _ in range(workers):
            with opened(launcher, _known(name)) as worker:
                answer = worker.ask("round", steps=_STEPS)
            shares.append(answer["cpu_seconds"] / (answer["loss"] * answer["steps"]))
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


def watching(launcher: Launcher, case: Case, steps: int, blocks: int) -> Check:
    """Rounds with the sampler beside them over rounds without, in pairs, in fresh workers.

    Args:
        launcher: Starts the workers.
        case: What is trained.
        steps: Steps of a round.
        blocks: Workers.
    """
    logs = []
    for block in range(blocks):
        with opened(launcher, case) as worker:
            pairs = [
                _watched_over_not(worker, steps, watched_first=bool((block + pair) % 2))
                for pair in range(_WATCHED_PAIRS)
            ]
        logs.append(statistics.median(pairs))
    return ratio(
        "a round that is watched over one that is not",
        "within 1 %",
        stats.log_interval(logs),
        _WITHIN_WATCHING,
    )


def _watched_over_not(worker: Any, steps: int, *, watched_first: bool) -> float:
    """Logarithm of the ratio of two rounds, one after the other."""
    first, second = (
        _round(worker, steps, watched=watched) for watched in (watched_first, not watched_first)
    )
    return log(first / second) if watched_first else log(second / first)


def _round(worker: Any, steps: int, *, watched: bool) -> float:
    sampler = Sampler(worker.pid, None)
    if watched:
        sampler.start()
    time.sleep(_BEGUN_SECONDS)
    try:
        return float(worker.ask("round", steps=steps)["seconds"])
    finally:
        if watched:
            sampler.stop()
