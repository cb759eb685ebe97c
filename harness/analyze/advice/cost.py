"""Predict time, memory, energy and price of a whole training from its measured case."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.analyze import energy, rounds, stats
from harness.analyze.advice.advise import Advice, advise
from harness.analyze.analysis import Analysis
from harness.analyze.devices import gpu
from harness.analyze.rounds import Worker
from harness.analyze.training import epochs
from harness.errors import BadCase, BadRun, UnknownName
from harness.records import Case, Estimate, Run

# In a default run of 23 cases, the largest peak of a case was up to 18 % above its smallest.
MARGIN = 0.2
_KWH = 3.6e6  # joules
NOT_IN_TIME = "importing the framework, loading the dataset, validation and saving"
NOT_IN_ENERGY = "startup, the overhead of Model.fit and the rest of the machine"
NOT_IN_MEMORY = "copies of the data that Model.fit and a validation hold, or a larger dataset"


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory, or why no peak was read."""

    peak_bytes: Estimate | None  # mean over blocks
    needed_bytes: float | None  # the largest peak of a worker plus the margin
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a user pays: per hour of the machine, per kilowatt-hour; grams are of carbon dioxide."""

    price_per_hour: float | None = None  # in any currency
    price_per_kwh: float | None = None
    grams_per_kwh: float | None = None


NO_RATES = Rates()


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned training."""

    case: Case
    samples: int  # per epoch
    epochs: int
    start_seconds: Estimate  # from the start of the process to the end of the first step
    epoch_seconds: Estimate  # of `Model.fit`
    training_seconds: Estimate
    source: str  # how the time of an epoch was measured
    host_memory: Memory  # resident memory of the process, with that of the import
    gpu_memory: Memory | None  # of the framework on the GPU; None on a CPU
    energy_joules: Estimate | None  # of the GPU board during all steps
    energy_missing: str
    cpu_energy_joules: Estimate | None  # of the processor packages during all steps
    cpu_energy_missing: str
    price_per_hour: float | None
    cost: Estimate | None  # price of the time, in the currency of the price
    energy_cost: Estimate | None = None  # price of the energy of both meters
    grams: Estimate | None = None  # of carbon dioxide, for that energy


def plan(
    analysis: Analysis,
    case: Case,
    samples: int | None = None,
    epoch_count: int = 1,
    rates: Rates = NO_RATES,
) -> Plan:
    """Plan a training of a measured case; intervals are over blocks of fresh workers.

    Samples are per epoch, by default as many as in the measured training set. Raises BadCase for a
    number that is too small.
    """
    size = analysis.observed[case].facts.train_samples if samples is None else samples
    _check(size, epoch_count, rates, case)
    hourly = rates.price_per_hour
    blocks = [*rounds.workers_of(analysis.roles.measured)[case].values()]
    fitted = [[w for w in block if w.start.fit] for block in blocks]
    timed = [block for block in fitted if block]
    source = _source(timed, size)
    timed = timed or blocks
    times = [[(w.start.ready_seconds, _epoch_seconds(w, size, case)) for w in b] for b in timed]
    training = stats.over_workers((s + epoch_count * e for s, e in block) for block in times)
    board, board_missing = _board_energy(blocks, case, size * epoch_count)
    packages, missing = _cpu_energy(analysis.run, blocks, case, size * epoch_count)
    kwh = _together(board, packages, case)
    return Plan(
        case=case,
        samples=size,
        epochs=epoch_count,
        start_seconds=stats.over_workers((start for start, _ in block) for block in times),
        epoch_seconds=stats.over_workers((epoch for _, epoch in block) for block in times),
        training_seconds=training,
        source=source,
        host_memory=_memory(blocks, lambda w: w.start.peak_rss_bytes),
        gpu_memory=_gpu_memory(blocks) if case.device == "gpu" else None,
        energy_joules=board,
        energy_missing=board_missing,
        cpu_energy_joules=packages,
        cpu_energy_missing=missing,
        price_per_hour=hourly,
        cost=None if hourly is None else training.times(hourly / 3600),
        energy_cost=_times(kwh, rates.price_per_kwh),
        grams=_times(kwh, rates.grams_per_kwh),
    )


def planned(
    analysis: Analysis,
    variant: str | None = None,
    samples: int | None = None,
    epoch_count: int = 1,
    rates: Rates = NO_RATES,
) -> list[tuple[Advice, Plan | None]]:
    """Advise on each variant of a run, or on one, with a plan of the advised training.

    The plan is None where every case failed. Raises BadCase as `plan` does, BadRun where the run
    has no comparison, UnknownName where it has no such variant.
    """
    advices, run = advise(analysis), analysis.run.id
    if not advices:
        raise BadRun(f"{run} has no comparison to advise from; measure some with harness run")
    known = dict.fromkeys(advice.variant for advice in advices)
    if variant is not None and variant not in known:
        raise UnknownName(f"{run} has no variant {variant!r}; it has {', '.join(known)}")
    question = samples, epoch_count, rates
    return [
        (advice, None if advice.case is None else plan(analysis, advice.case, *question))
        for advice in advices
        if variant in (None, advice.variant)
    ]


def _check(samples: int, epoch_count: int, rates: Rates, case: Case) -> None:
    if samples < case.batch_size:
        raise BadCase(f"--samples: {samples} is less than a batch of {case.batch_size}")
    if epoch_count < 1:
        raise BadCase(f"--epochs: {epoch_count} is not a whole number from 1")
    for field in dataclasses.fields(rates):
        rate = getattr(rates, field.name)
        if rate is not None and not 0 < rate < math.inf:
            option = field.name.replace("_", "-")
            raise BadCase(f"--{option}: {rate:g} is not a number above 0")


def _source(timed: Sequence[Sequence[Worker]], samples: int) -> str:
    if not timed:
        return "step times without the overhead of Model.fit (the case was only a reference)"
    fits = [worker.start.fit for block in timed for worker in block]
    whole = all(fit and fit.whole_epoch and fit.samples == samples for fit in fits)
    return "whole epochs of Model.fit" if whole else "timed parts of Model.fit"


def _epoch_seconds(worker: Worker, samples: int, case: Case) -> float:
    fit = worker.start.fit
    if fit is None:
        return worker.step_seconds * samples / case.batch_size
    whole = fit.whole_epoch and fit.samples == samples
    return epochs.project(dataclasses.replace(fit, whole_epoch=whole), samples)


def _memory(
    blocks: Sequence[Sequence[Worker]], size: Callable[[Worker], float | None], missing: str = ""
) -> Memory:
    """Peak memory over blocks; a block counts with its larger worker."""
    known = [[value for value in map(size, block) if value is not None] for block in blocks]
    peaks = [max(sizes) for sizes in known if sizes]
    if not peaks:
        return Memory(None, None, missing)
    return Memory(stats.interval(peaks), (1 + MARGIN) * max(peaks))


def _gpu_memory(blocks: Sequence[Sequence[Worker]]) -> Memory:
    """Peak of the framework's allocator, else NVML's reading, as in the measurements table."""
    starts = [worker.start for block in blocks for worker in block]
    if any(start.gpu_memory_bytes is not None for start in starts):
        return _memory(blocks, lambda w: w.start.gpu_memory_bytes)
    missing = "; ".join(dict.fromkeys(start.gpu_memory_source for start in starts))
    return _memory(blocks, lambda w: gpu.memory_bytes(gpu.usages([w.start])).value, missing)


def _board_energy(
    blocks: Sequence[Sequence[Worker]], case: Case, samples: int
) -> tuple[Estimate | None, str]:
    """Power of the board of a GPU during rounds times the time of all steps."""
    if case.device != "gpu":
        return None, ""
    watched = [worker for block in blocks for worker in block if gpu.usages([worker.start])]
    read = [(gpu.power_watts(gpu.usages([w.start])), w.step_seconds) for w in watched]
    known = [(power.value, step) for power, step in read if power.value is not None]
    if not known:
        reasons = dict.fromkeys(power.source for power, _ in read)
        return None, "; ".join(reasons) or "no reading"
    joules = [math.log(watts * step / case.batch_size * samples) for watts, step in known]
    return stats.log_interval(joules), ""


def _cpu_energy(
    run: Run, blocks: Sequence[Sequence[Worker]], case: Case, samples: int
) -> tuple[Estimate | None, str]:
    """Energy of the packages per sample times all samples; what others consumed is in it."""
    rounds_of = ([r for worker in block for r in worker.rounds] for block in blocks)
    found = energy.per_sample(rounds_of, case.batch_size)
    if found is not None:
        return found.times(samples), ""
    told = run.machine.cpu_energy
    return None, told.missing if told and told.missing else "the run has no reading"


def _together(board: Estimate | None, packages: Estimate | None, case: Case) -> Estimate | None:
    """Kilowatt-hours of all that trains: for a GPU of both meters; None if one is missing."""
    if packages is None or (case.device == "gpu" and board is None):
        return None
    if board is None:
        return packages.times(1 / _KWH)
    ends = ((a, b) for a, b in ((board.low, packages.low), (board.high, packages.high)))
    low, high = (None if a is None or b is None else a + b for a, b in ends)
    n = min(board.n, packages.n)
    return Estimate(board.value + packages.value, low, high, n).times(1 / _KWH)


def _times(kwh: Estimate | None, rate: float | None) -> Estimate | None:
    return None if kwh is None or rate is None else kwh.times(rate)
