"""Profile a case: fresh workers, each traced after its rounds, since tracing disturbs."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.measure import schedule
from harness.measure.machine.facts import memory_available
from harness.measure.side import Setup, Side
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import (
    Case,
    LayerFacts,
    ModelFacts,
    Peak,
    Profile,
    Round,
    Spent,
    Start,
    Traced,
    from_json,
)

TRACES = "traces"  # folder, in that of the run
_NO_NAME = re.compile(r"[^\w.+-]+")  # what is not to stand in the name of a file
_TIMES = 4  # as large, or as small, is the batch of another reading of the memory
_FREE, _LONGEST_STEP = 0.5, 2.0  # what a larger batch may take: of the free memory; seconds
_ROUNDS_SECONDS = 1.5  # of a worker; the step time is measured where the trace is


def is_traced(case: Case) -> bool:
    """Whether the layers of a case can be told apart: on one device of one host."""
    return case.replicas == case.hosts == 1


def profile(
    case: Case, setup: Setup, folder: Path, workers: int, memory_bytes: int | None = None
) -> Profile:
    """Profile a case.

    Args:
        case: On one device, which trains by itself.
        setup: What it is measured with.
        folder: Of the run, which gets the trace of the first worker.
        workers: How many; three at least give intervals.
        memory_bytes: A limit, for which a batch size is wanted.

    Raises:
        WorkerFailed: the case cannot be trained or traced.
    """
    begin = time.perf_counter()
    name = f"{TRACES}/{_NO_NAME.sub('-', case.id)}.trace.json.gz"
    traced: list[Traced] = []
    layers: tuple[LayerFacts, ...] = ()
    starts: list[Start] = []
    facts: ModelFacts | None = None
    for number in range(workers):
        with _side(case, setup) as side:
            plan = schedule.plan_alone(side.step_seconds, case, setup.protocol)
            side.sampler.begin_rounds()
            rounds: list[Round] = []
            while sum(one.seconds for one in rounds) < _ROUNDS_SECONDS:
                rounds.append(side.round(number, len(rounds), 0, plan.steps))
            side.end_rounds()
            side.find_rates()
            starts.append(side.start_record(number))
            found = side.profile(None if number else folder / name)
        facts = side.facts
        layers = tuple(from_json(LayerFacts, one) for one in found["layers"])
        seconds = sum(one.seconds for one in rounds) / sum(one.steps for one in rounds)
        spent = tuple(from_json(Spent, one) for one in found["spent"])
        traced.append(Traced(seconds, found["traced_seconds"], found["steps"], spent))
    assert facts is not None
    return Profile(
        case,
        facts,
        layers,
        tuple(traced),
        max((one.product_flops for one in starts if one.product_flops), default=None),
        max((r for one in starts if (r := one.copy_bytes_per_second)), default=None),
        name,
        wall_seconds=time.perf_counter() - begin,
        peaks=tuple(_peaks(case, setup, starts, traced[0])),
        memory_bytes=memory_bytes,
    )


@contextlib.contextmanager
def _side(case: Case, setup: Setup) -> Iterator[Side]:
    """A worker that is marked for a profile, warm; it ends with the context."""
    side = Side.start(case, setup)
    try:
        side.open(profiled=True)
        side.warm_up()
        yield side
    finally:
        side.end()


def _peaks(case: Case, setup: Setup, starts: Sequence[Start], traced: Traced) -> Iterator[Peak]:
    """The memory of the workers, and at another batch size where the model can be trained at one.

    Only on the CPU: what a GPU holds before the first step is not known. The other size is larger
    where that is sure to fit: peaks of small batches tell too little of large ones.
    """
    if case.device == "gpu":
        return
    yield from (_peak(case, start) for start in starts)
    start = starts[0]
    taken = _TIMES * (start.peak_rss_bytes - start.import_rss_bytes)
    fits = taken < _FREE * memory_available()
    quick = _TIMES * traced.step_seconds < _LONGEST_STEP
    sizes = [case.batch_size * _TIMES] * (fits and quick) + [case.batch_size // _TIMES]
    for size in filter(None, sizes):
        other = dataclasses.replace(case, batch_size=size)
        with contextlib.suppress(WorkerFailed), _side(other, setup) as side:
            side.end_rounds()
            yield _peak(other, side.start_record(0))
            return


def _peak(case: Case, start: Start) -> Peak:
    return Peak(
        case.batch_size, start.import_rss_bytes, start.build_rss_bytes, start.peak_rss_bytes
    )
