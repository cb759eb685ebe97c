"""Search for batch sizes: double until memory, throughput, time or the data stops it."""

import dataclasses
from collections.abc import Callable

from harness import units
from harness.measure.machine.facts import memory_available, oom_kills
from harness.measure.oom import explained
from harness.measure.side import Setup, Side
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Search, TriedSize

FIRST_BATCH = 8
_GAIN = 1.02  # in throughput; two smaller gains in a row end the search
_LONGEST_STEP_SECONDS = 10.0
_WORTH = 0.8  # of the best throughput: smaller sizes are not measured


def search(
    case: Case,
    samples: int,
    memory_bytes: int | None,
    setup: Setup,
    on_size: Callable[[Case, TriedSize], None],
    *,
    fixed: bool = False,
) -> Search:
    """Try batch sizes, each in a fresh worker that only warms up.

    The times are rough: they only choose what is measured. The memory of a worker on the CPU is
    limited, by default to what is free, so that an allocation fails before the kernel kills a
    process. The search begins with the batch size of the case and ends at the last with the
    samples of the training set. Where the model has a fixed batch size, it tries that one alone.
    """
    limit = _limit(case, setup, memory_bytes)
    sizes: list[TriedSize] = []

    def tried(size: int) -> TriedSize:
        sized = dataclasses.replace(case, batch_size=size)
        found = _try(sized, limit, setup)
        on_size(sized, found)
        sizes.append(found)
        return found

    if fixed:
        tried(case.batch_size)
        ended = f"the inputs of the model fix a batch size of {case.batch_size}"
    else:
        ended = _upwards(case.batch_size, samples, tried)
    if sizes[0].status == "oom" and not fixed:
        ended = _downwards(case.batch_size, tried)
    sizes.sort(key=lambda size: size.batch_size)
    return Search(case, tuple(sizes), limit, ended, _chosen(sizes))


def _limit(case: Case, setup: Setup, asked: int | None) -> int | None:
    if case.device == "cpu":
        free = memory_available()
        return free if asked is None else min(free, asked)
    if asked is not None:
        return asked
    return None if setup.gpu.facts is None else setup.gpu.facts.memory_bytes


def _upwards(size: int, samples: int, tried: Callable[[int], TriedSize]) -> str:
    """Double the size; return why the search stopped."""
    best, without_gain = 0.0, 0
    while size <= samples:
        found = tried(size)
        if found.step_seconds is None:
            return f"batch {size} failed ({found.status})"
        rate = size / found.step_seconds
        without_gain = 0 if rate >= _GAIN * best else without_gain + 1
        best = max(best, rate)
        if without_gain == 2:
            return "two sizes in a row brought less than 2 % more throughput"
        if found.step_seconds > _LONGEST_STEP_SECONDS:
            return f"a step of batch {size} takes {units.seconds(found.step_seconds)}"
        size *= 2
    return f"the training set has {samples} samples"


def _downwards(size: int, tried: Callable[[int], TriedSize]) -> str:
    """Halve the size until one fits; return why the search stopped."""
    while size > 1:
        size //= 2
        if tried(size).step_seconds is not None:
            return f"batch {size} is the largest that fits"
    return "not even batch 1 fits"


def _chosen(sizes: list[TriedSize]) -> tuple[int, ...]:
    """Return the sizes worth measuring; the fastest, their reference, comes first."""
    rates = {s.batch_size: s.batch_size / s.step_seconds for s in sizes if s.step_seconds}
    if not rates:
        return ()
    fastest = max(rates, key=lambda size: rates[size])
    others = [size for size, rate in rates.items() if rate >= _WORTH * rates[fastest]]
    return (fastest, *(size for size in others if size != fastest))


def _try(case: Case, limit: int | None, setup: Setup) -> TriedSize:
    kills = oom_kills()
    side = Side.start(case, setup)
    try:
        side.open(limit if case.device == "cpu" else None)
        side.warm_up()
        side.end_rounds()
    except WorkerFailed as error:
        side.sampler.stop()
        reached = side.sampler.usage().peak_rss_bytes
        failed = _for_memory(explained(error, kills, side.sampler.last_rss_bytes), reached, limit)
        peak = reached if case.device == "cpu" else None
        return TriedSize(case.batch_size, failed.kind, None, peak, str(failed))
    finally:
        side.end()
    return TriedSize(case.batch_size, "fits", side.step_seconds, side.peak_bytes)


def _for_memory(error: WorkerFailed, reached: int | None, limit: int | None) -> WorkerFailed:
    """Call a crash or a hang near the memory limit `oom`: libraries do not always report it."""
    died = error.kind in ("killed", "timeout") or "the worker exited with" in str(error)
    if not died or limit is None or reached is None or reached < limit / 2:
        return error
    return WorkerFailed("oom", f"memory ran out ({error})", error.log_tail)
