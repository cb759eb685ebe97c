"""Full trainings of one seed: fresh workers that take turns epoch by epoch.

A disturbance then hits all of them, and their times compare. Where a GPU is used, one has ended
before the next begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.measure.machine.facts import oom_kills
from harness.measure.machine.host_state import between
from harness.measure.machine.sampler import disturbance, read_machine
from harness.measure.oom import explained
from harness.measure.side import AnyWorker, Setup
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import (
    Epoch,
    Failure,
    Mistake,
    Recipe,
    Surroundings,
    Training,
    from_json,
    to_json,
)

_MOST_AT_ONCE = 6

OnEpoch = Callable[[Recipe, Epoch], None]
OnEnd = Callable[[Recipe, Training | Failure], None]


def train_together(
    recipes: Sequence[Recipe], setup: Setup, on_epoch: OnEpoch, on_end: OnEnd, *, complete: bool
) -> None:
    """Train every recipe to its end; each ends with a `Training` or a `Failure`.

    More than six at once could exceed the memory of a small machine, so they train in groups.
    `complete` says that these are all recipes of the seed, and that none was trained before.
    """
    size = _MOST_AT_ONCE if all(recipe.case.device == "cpu" for recipe in recipes) else 1
    groups = [recipes[i : i + size] for i in range(0, len(recipes), size)]
    in_turns = complete and len(groups) == 1 and size > 1
    for group in groups:
        kills = oom_kills()
        trainees = [_Trainee(recipe, setup, in_turns) for recipe in group]
        try:
            while trainees:
                for trainee in list(trainees):
                    try:
                        on_epoch(trainee.recipe, trainee.epoch())
                        ended: Training | Failure | None = trainee.training
                    except WorkerFailed as error:
                        case, reference = trainee.recipe.case, trainee.recipe.reference
                        ended = explained(error, kills, None).failure_of(case, reference)
                    if ended is not None:
                        trainee.end()
                        trainees.remove(trainee)
                        on_end(trainee.recipe, ended)
        finally:
            for trainee in trainees:
                trainee.end()


@dataclass(eq=False)
class _Trainee:
    """One worker that trains a recipe, started with its first epoch."""

    recipe: Recipe
    setup: Setup
    interleaved: bool
    training: Training | None = None  # once the last epoch has ended
    _worker: AnyWorker | None = None
    _facts: dict[str, Any] = field(default_factory=dict)
    _epochs: list[Epoch] = field(default_factory=list)
    _surroundings: list[Surroundings] = field(default_factory=list)

    def epoch(self) -> Epoch:
        """Train one more epoch; raise `WorkerFailed` if the worker did."""
        if self._worker is None:
            case, launcher = self.recipe.case, self.setup.launcher
            launcher.prepare(case, wait=True)
            self._worker = launcher.start(case, self.setup.protocol.timeout_seconds)
            opened = self._worker.ask("open_training", case=to_json(case), cpus=self.setup.cpus)
            self._facts = opened["facts"]
        state, before = self.setup.read_host_state(), read_machine()
        if self._epochs:
            answer = self._worker.ask("next_epoch")
        else:
            answer = self._worker.ask("train", epochs=self.recipe.epochs)
        data = answer["epoch"]
        epoch = from_json(Epoch, data | disturbance(before, read_machine(), data["cpu_seconds"]))
        self._epochs.append(epoch)
        self._surroundings.append(between(epoch.epoch, state, self.setup.read_host_state()))
        if "mistakes" in answer:
            found, shape = answer["mistakes"], answer["image_shape"]
            self.training = Training(
                recipe=self.recipe,
                epochs=tuple(self._epochs),
                mistakes=None if found is None else tuple(from_json(Mistake, m) for m in found),
                image_shape=None if shape is None else tuple(shape),
                interleaved=self.interleaved,
                surroundings=tuple(self._surroundings),
                **self._facts,
            )
        return epoch

    def end(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self.setup.launcher.end(self._worker)
            self._worker = None
