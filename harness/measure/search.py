"""Search for batch sizes: double until memory, throughput, time or the data stops it."""

import dataclasses
from collections.abc import Callable

from harness import units
from harness.measure.launcher import WorkerFailed
from harness.measure.machine.facts import memory_available, oom_kills
from harness.measure.machine.gpu import AnyGpu
from harness.measure.oom import explained
from harness.measure.side import AnyLauncher, Seat
from harness.records import Case, Probe, Protocol, Search

FIRST_BATCH = 8
_GAIN = 1.02  # of throughput; less than that twice in a row, and it has stopped growing
_LONGEST_STEP_SECONDS = 10.0
_WORTH = 0.7  # of the best throughput: a size below is tried, not measured


def search(
    case: Case,
    *,
    samples: int,
    memory_bytes: int | None,
    launcher: AnyLauncher,
    protocol: Protocol,
    gpu: AnyGpu,
    cpus: list[int],
    on_probe: Callable[[Case, Probe], None],
) -> Search:
    """Try batch sizes, each in a fresh worker that only warms up.

    The times are rough: they choose what is measured, and are in no
    comparison. A worker on the CPU may take no more memory than there is: its
    allocations fail before the kernel has to end a process.

    Args:
        case: What is trained, at the first batch size.
        samples: Of the training set: no batch is larger.
        memory_bytes: Most that a worker may take; None for what is free.
        launcher: Starts the workers.
        protocol: How to warm up.
        gpu: From `gpu.open_gpu()`.
        cpus: Those that may be used.
        on_probe: Told each size.
    """
    limit = _limit(case, memory_bytes, gpu)
    probes: list[Probe] = []

    def tried(size: int) -> Probe:
        sized = dataclasses.replace(case, batch_size=size)
        probe = _probe(sized, limit, launcher, protocol, gpu, cpus)
        on_probe(sized, probe)
        probes.append(probe)
        return probe

    ended = _upwards(case.batch_size, samples, tried)
    if probes[0].status == "oom":
        ended = _downwards(case.batch_size, tried)
    probes.sort(key=lambda probe: probe.batch_size)
    return Search(case, tuple(probes), limit, ended, _chosen(probes))


def _limit(case: Case, memory_bytes: int | None, gpu: AnyGpu) -> int | None:
    if memory_bytes is not None:
        return memory_bytes
    if case.device == "cpu":
        return memory_available()
    return None if gpu.facts is None else gpu.facts.memory_bytes


def _upwards(size: int, samples: int, tried: Callable[[int], Probe]) -> str:
    """Double; say what stopped it."""
    best, without_gain = 0.0, 0
    while size <= samples:
        probe = tried(size)
        if probe.step_seconds is None:
            return f"batch {size} failed ({probe.status})"
        rate = size / probe.step_seconds
        without_gain = 0 if rate >= _GAIN * best else without_gain + 1
        best = max(best, rate)
        if without_gain == 2:
            return "two sizes in a row brought less than 2 % more throughput"
        if probe.step_seconds > _LONGEST_STEP_SECONDS:
            return f"a step of batch {size} takes {units.seconds(probe.step_seconds)}"
        size *= 2
    return f"the training set has {samples} samples"


def _downwards(size: int, tried: Callable[[int], Probe]) -> str:
    """Halve until one fits; say what stopped it."""
    while size > 1:
        size //= 2
        if tried(size).step_seconds is not None:
            return f"batch {size} is the largest that fits"
    return "not even batch 1 fits"


def _chosen(probes: list[Probe]) -> tuple[int, ...]:
    """The sizes worth measuring, the fastest first: it is what the others are compared with."""
    rates = {p.batch_size: p.batch_size / p.step_seconds for p in probes if p.step_seconds}
    if not rates:
        return ()
    fastest = max(rates, key=lambda size: rates[size])
    others = [size for size, rate in rates.items() if rate >= _WORTH * rates[fastest]]
    return (fastest, *(size for size in others if size != fastest))


def _probe(
    case: Case,
    limit: int | None,
    launcher: AnyLauncher,
    protocol: Protocol,
    gpu: AnyGpu,
    cpus: list[int],
) -> Probe:
    kills = oom_kills()
    seat = Seat("case", case, launcher, gpu, protocol)
    try:
        seat.open(cpus, limit if case.device == "cpu" else None)
        seat.warm_up()
        seat.end_rounds()
    except WorkerFailed as error:
        seat.sampler.stop()
        known = explained(error, kills, seat.sampler.last_rss_bytes)
        failed = _for_memory(known, seat, limit)
        reached = seat.sampler.usage().peak_rss_bytes if case.device == "cpu" else None
        return Probe(case.batch_size, failed.kind, None, reached, str(failed))
    finally:
        seat.leave()
    return Probe(case.batch_size, "fits", seat.step_seconds, seat.peak_bytes)


def _for_memory(error: WorkerFailed, seat: Seat, limit: int | None) -> WorkerFailed:
    """A library without memory may die in many ways, or wait for ever, and not say so."""
    reached = seat.sampler.usage().peak_rss_bytes
    died = error.kind in ("killed", "timeout") or "the worker exited with" in str(error)
    if not died or limit is None or reached is None or reached < limit / 2:
        return error
    return WorkerFailed("oom", f"memory ran out ({error})", error.log_tail)
