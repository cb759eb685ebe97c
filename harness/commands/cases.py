"""Make cases and comparisons from the settings, and say what cannot be measured here."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.commands.options import AUTO, Settings
from harness.errors import BadCase
from harness.measure.case_checks import check_batch_size, check_case
from harness.measure.machine import visible_gpus
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu, count
from harness.measure.side import AnyLauncher, Setup
from harness.measure.trial import Inspected, inspect
from harness.measure.worker_process import WorkerFailed
from harness.records import Case, Ladder, Recipe, Rung
from harness.worker import backends
from harness.workloads import datasets, levers, registry
from harness.workloads.ladder import Step
from harness.workloads.variants import Schedule

Comparison = tuple[Case, Case]  # a case and its reference
Trial = Inspected | WorkerFailed
_SCHEDULE = Schedule(batch_size=256, epochs=10)  # of a variant that is not bundled


class Cases:
    """Makes the cases of a run; tries a model of the user's once, before its first case.

    Args:
        settings: Checked settings.
        gpu: From `gpu.open_gpu()`.
        launch: Returns the launcher of the run; called for the first trial.
        on_trial: Called with a case and what the trial of its model has shown.
    """

    def __init__(
        self,
        settings: Settings,
        gpu: AnyGpu,
        launch: Callable[[], AnyLauncher],
        on_trial: Callable[[Case, Trial], None],
    ) -> None:
        self._settings = settings
        self._gpu = gpu
        self._launch = launch
        self._on_trial = on_trial
        self._dataset: str | None = None
        self._train_samples: int | None = None
        self._seen_gpus: dict[str, str | None] = {}
        self._trials: dict[Case, Trial] = {}

    @property
    def dataset(self) -> str:
        """The dataset of bundled models.

        Raises:
            HarnessError: it cannot be used.
        """
        if self._dataset is None:
            self._dataset = datasets.resolve(self._settings.dataset)
            self._train_samples = datasets.train_size(self._dataset)
        return self._dataset

    def check(self, sizes: Iterable[tuple[str | None, int]]) -> None:
        """Refuse a dataset and batch sizes of variants before anything is measured.

        Raises:
            HarnessError: one cannot be used.
        """
        dataset = self.dataset
        for variant, batch_size in sizes:
            if self._settings.dataset != AUTO or not registry.is_own(variant or ""):
                check_batch_size(batch_size, dataset, self._train_samples)

    def check_device(self, device: str) -> None:
        """Refuse a device that the user named and that cannot be used here.

        Raises:
            BadCase: the message says why.
        """
        if reason := self.unavailable(self.outline(device=device)):
            raise BadCase(f"--devices: {reason}")

    def unavailable(self, case: Case, lever: str = "") -> str | None:
        """Say why a case, or a setting of it, cannot be measured here; None when it can.

        A framework is asked once whether it sees the GPU, in a process of its own.
        """
        backend = backends.find(case.backend)
        reason = backend.missing()
        if reason is None and case.device == "gpu":
            reason = self._no_gpu(case.backend)
        if reason is None and case.hosts > 1 and self._settings.hosts is None:
            reason = "one host; docs/scaling.md says how to start it on several"
        if reason is None and case.replicas > 1:
            reason = backend.undistributed() or self._too_few_gpus(case)
        if reason is None and lever:
            reason = levers.unavailable(lever, case)
        return reason

    def _no_gpu(self, backend: str) -> str | None:
        if self._gpu.name is None:
            return self._gpu.reason
        if backend not in self._seen_gpus:
            try:
                seen = visible_gpus.of_framework(backend, self._gpu.cuda_device)
                reason = None if seen else backends.find(backend).unseen()
            except visible_gpus.NotListed as error:
                reason = str(error)
            self._seen_gpus[backend] = reason
        return self._seen_gpus[backend]

    @staticmethod
    def _too_few_gpus(case: Case) -> str | None:
        """A CPU has as many logical devices as are wanted."""
        there = case.replicas if case.device == "cpu" or case.hosts > 1 else count()
        if there >= case.replicas:
            return None
        return f"{case.replicas} GPUs are needed, there are {there}"

    def outline(self, **fields: Any) -> Case:
        """Return a case with what is known of it before its model is tried."""
        settings = self._settings
        backend = fields.get("backend", settings.backend)
        defaults = {
            "variant": "",
            "dataset": "",
            "backend": backend,
            "device": settings.devices[0],
            "threads": settings.threads,
            "batch_size": settings.batch_sizes[0] if settings.batch_sizes else 1,
            "jit": backends.find(backend).jit_by_default,
            "loss": settings.loss,
            "optimizer": settings.optimizer,
            "input_shape": settings.input_shape,
        }
        return Case(**{**defaults, **fields})

    def case(self, **fields: Any) -> Case:
        """Complete a case from the settings and check it.

        Raises:
            HarnessError: it cannot be trained.
        """
        if unknown := sorted(set(fields) - {field.name for field in dataclasses.fields(Case)}):
            raise BadCase(f"a case has no {', '.join(unknown)}")
        case = self.outline(**{"dataset": self.dataset, **fields})
        registry.check(case.variant)
        if not registry.is_own(case.variant):
            check_case(case, self._train_samples, len(usable_cpus()), self._gpu)
            return case
        if self._settings.dataset == AUTO and "dataset" not in fields:
            case = dataclasses.replace(case, dataset=datasets.AUTO)
        check_case(case, None, len(usable_cpus()), self._gpu)
        found = self.trial(case)
        if isinstance(found, WorkerFailed):
            return _with_known_data(case)
        case = dataclasses.replace(case, dataset=found.dataset)
        check_batch_size(case.batch_size, case.dataset, found.train_samples)
        return case

    def comparison(
        self, *, differs_in: Mapping[str, Any] | None = None, **fields: Any
    ) -> Comparison:
        """Complete a case and its reference.

        Args:
            differs_in: Fields in which the reference differs; None: it is the case itself.
            fields: Of the case.

        Raises:
            HarnessError: one cannot be trained.
        """
        return self.case(**fields), self.case(**{**fields, **(differs_in or {})})

    def ladder(self, name: str, steps: Sequence[Step], **fields: Any) -> Ladder:
        """Complete the comparisons of a ladder, each step against the one before.

        Args:
            name: Of the ladder.
            steps: All of them.
            fields: Of every case.

        Raises:
            HarnessError: a case of it cannot be trained.
        """
        cases = [
            self.case(variant=step.variant, batch_size=step.batch_size, **fields) for step in steps
        ]
        changes = [step.change for step in steps[1:]]
        rungs = zip(changes, cases[1:], cases[:-1], strict=True)
        return Ladder(name, tuple(Rung(*rung) for rung in rungs))

    def recipes(
        self,
        variants: Sequence[str],
        batch_sizes: Sequence[int] | None,
        epochs: int | None,
        references: Mapping[str, str],
        fields: Mapping[str, Any],
    ) -> list[Recipe]:
        """Complete full trainings from the settings and check them.

        Args:
            variants: What is trained; the first is what the others are compared with.
            batch_sizes: Of each variant; None for that of its recipe.
            epochs: Of each variant; None for what the settings or its recipe say.
            references: What a variant is compared with instead.
            fields: Of every case.

        Raises:
            HarnessError: one cannot be trained.
        """
        cases: dict[str, list[tuple[Case, int]]] = {}
        for variant in dict.fromkeys(variants):
            schedule = registry.schedule(variant) or _SCHEDULE
            many = epochs or self._settings.epochs or schedule.epochs
            cases[variant] = [
                (self.case(variant=variant, batch_size=size, **fields), many)
                for size in batch_sizes or [schedule.batch_size]
            ]
        first = next(iter(cases))

        def reference(variant: str) -> tuple[Case, int]:
            return cases.get(references.get(variant, first), cases[first])[0]

        return [
            Recipe(case, many, *reference(variant))
            for variant, made in cases.items()
            for case, many in made
        ]

    def trial(self, case: Case) -> Trial:
        """Try a model of the user's once, before its first round.

        Returns:
            What was found, or why it cannot be trained.
        """
        # Alone and plain: whether it can be trained does not depend on the rest.
        case = dataclasses.replace(case, levers=(), replicas=1, hosts=1)
        key = dataclasses.replace(case, batch_size=0, threads=0, seed=0)
        if key not in self._trials:
            setup = Setup(self._settings.protocol, self._launch(), self._gpu)
            found: Trial
            try:
                found = inspect(case, setup, self.dataset)
                dataset = found.dataset
            except WorkerFailed as error:
                found, dataset = error, _with_known_data(case).dataset
            self._trials[key] = self._trials[dataclasses.replace(key, dataset=dataset)] = found
            self._on_trial(case, found)
        return self._trials[key]

    def untrainable(self, case: Case) -> WorkerFailed | None:
        """Why a model of the user's cannot be trained; None where it can."""
        found = self.trial(case) if registry.is_own(case.variant) else None
        return found if isinstance(found, WorkerFailed) else None

    def train_samples(self, case: Case) -> int:
        """Samples of an epoch of a case that can be trained."""
        found = self.trial(case) if registry.is_own(case.variant) else None
        return found.train_samples if isinstance(found, Inspected) else self._train_samples or 0


def _with_known_data(case: Case) -> Case:
    """A case that could not be tried is reported with random data: its own is unknown."""
    return dataclasses.replace(case, dataset=datasets.FITTED) if case.dataset == AUTO else case
