"""Try a model before its first round: whether it builds and trains, and what data it takes."""

import dataclasses
from dataclasses import dataclass

from harness.measure.machine.facts import oom_kills
from harness.measure.machine.sampler import Sampler
from harness.measure.oom import explained
from harness.measure.side import Setup
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, from_json, to_json

_LARGEST_BATCH = 32


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a trial has shown of a model.

    Attributes:
        signature: Shapes of a sample and of the model's output.
        parameters: Number of all weights.
        losses: Of the first steps.
        no_data: Why the model trains on random data unasked; else empty.
        slow_steps: How many steps at the beginning are several times as slow as later ones.
        batch_size: That the inputs of the model fix; None where any can be trained.
        pipeline: That the data come from; empty for arrays.
    """

    dataset: str
    train_samples: int
    signature: str
    parameters: int
    losses: tuple[float, ...]
    no_data: str = ""
    batch_size: int | None = None
    slow_steps: int = 0
    pipeline: str = ""


def inspect(case: Case, setup: Setup, images: str) -> Inspected:
    """Train a small batch for a few steps in a worker of its own.

    The dataset of the case may be `auto`; a model with the inputs of the bundled ones then trains
    on `images`.

    Raises:
        WorkerFailed: the model cannot be trained; the message says why.
    """
    small = dataclasses.replace(case, batch_size=min(case.batch_size, _LARGEST_BATCH))
    before = oom_kills()
    worker = setup.launcher.start(small, setup.protocol.timeout_seconds)
    sampler = Sampler(worker.pid, None)
    sampler.start()
    try:
        answer = worker.ask("inspect", case=to_json(small), cpus=setup.cpus, images=images)
    except WorkerFailed as error:
        raise explained(error, before, sampler.last_rss_bytes) from error
    finally:
        sampler.stop()
        setup.launcher.end(worker)
    return from_json(Inspected, answer)
