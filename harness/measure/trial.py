"""Try a model before its first round: does it build, train, and what data does it take?"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from harness.measure.launcher import WorkerFailed
from harness.measure.machine.facts import oom_kills
from harness.measure.machine.sampler import Sampler
from harness.measure.oom import explained
from harness.measure.side import AnyLauncher
from harness.records import Case, to_json

_LARGEST_BATCH = 32


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a trial has shown of a model.

    Attributes:
        dataset: What it is trained on.
        train_samples: Samples of an epoch of it.
        signature: What a sample is and what the model makes of it.
        parameters: All weights.
        losses: Of its first steps.
        no_data: Why random data is trained; empty where it is not, or was asked for.
    """

    dataset: str
    train_samples: int
    signature: str
    parameters: int
    losses: tuple[float, ...]
    no_data: str = ""


def inspect(
    case: Case, launcher: AnyLauncher, timeout: float, cpus: list[int], images: str
) -> Inspected:
    """Train a few steps of a small batch in a worker of its own.

    Args:
        case: What is going to be trained; its dataset may be `auto`.
        launcher: Starts the worker.
        timeout: Longest that it may be silent, in seconds.
        cpus: Those that may be used.
        images: The dataset of a model that takes what the bundled ones take.

    Raises:
        WorkerFailed: the model cannot be trained; the message says why.
    """
    small = dataclasses.replace(case, batch_size=min(case.batch_size, _LARGEST_BATCH))
    before = oom_kills()
    worker: Any = launcher.start(small, timeout)
    sampler = Sampler(worker.pid, None)
    try:
        answer = worker.ask("inspect", case=to_json(small), cpus=cpus, images=images)
    except WorkerFailed as error:
        raise explained(error, before, sampler.last_rss_bytes) from error
    finally:
        sampler.stop()
        launcher.end(worker)
    return Inspected(**{**answer, "losses": tuple(answer["losses"])})
