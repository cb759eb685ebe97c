"""Profile a case: fresh workers, each traced after its rounds, since tracing disturbs."""

import re
import time
from pathlib import Path

from harness.measure import schedule
from harness.measure.side import Setup, Side
from harness.records import Case, LayerFacts, ModelFacts, Profile, Round, Spent, Traced, from_json

TRACES = "traces"  # folder, in that of the run
_NO_NAME = re.compile(r"[^\w.+-]+")  # what is not to stand in the name of a file
_ROUNDS_SECONDS = 1.5  # of a worker; the step time is measured where the trace is


def is_traced(case: Case) -> bool:
    """Whether the layers of a case can be told apart: on one CPU device of one host."""
    return case.device == "cpu" and case.replicas == case.hosts == 1


def profile(case: Case, setup: Setup, folder: Path, workers: int) -> Profile:
    """Profile a case.

    Args:
        case: On one device, which trains by itself.
        setup: What it is measured with.
        folder: Of the run, which gets the trace of the first worker.
        workers: How many; three at least give intervals.

    Raises:
        WorkerFailed: the case cannot be trained or traced.
    """
    begin = time.perf_counter()
    name = f"{TRACES}/{_NO_NAME.sub('-', case.id)}.trace.json.gz"
    traced: list[Traced] = []
    layers: tuple[LayerFacts, ...] = ()
    rates: tuple[float | None, float | None] = None, None
    facts: ModelFacts | None = None
    for number in range(workers):
        side = Side.start(case, setup)
        try:
            side.open(profiled=True)
            side.warm_up()
            plan = schedule.plan_alone(side.step_seconds, case, setup.protocol)
            side.sampler.begin_rounds()
            rounds: list[Round] = []
            while sum(one.seconds for one in rounds) < _ROUNDS_SECONDS:
                rounds.append(side.round(number, len(rounds), 0, plan.steps))
            side.end_rounds()
            if number == 0:
                side.find_rates()
                start = side.start_record(0)
                rates = start.product_flops, start.copy_bytes_per_second
            found = side.profile(None if number else folder / name)
        finally:
            side.end()
        facts = side.facts
        layers = tuple(from_json(LayerFacts, one) for one in found["layers"])
        seconds = sum(one.seconds for one in rounds) / sum(one.steps for one in rounds)
        spent = tuple(from_json(Spent, one) for one in found["spent"])
        traced.append(Traced(seconds, found["traced_seconds"], found["steps"], spent))
    assert facts is not None
    return Profile(
        case, facts, layers, tuple(traced), *rates, name, wall_seconds=time.perf_counter() - begin
    )
