"""Make cases and comparisons from the settings, and say what cannot be measured here."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.commands.options import AUTO, Settings
from harness.errors import BadCase
from harness.measure.case_checks import check_batch_size, check_case
from harness.measure.machine import visible_gpus
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu, count
from harness.measure.side import AnyLauncher, Setup
from harness.measure.trial import Inspected, inspect
from harness.measure.versions.open_version import OtherVersion
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Ladder, Recipe, Rung
from harness.worker import backends
from harness.workloads import datasets, fitting, levers, registry
from harness.workloads.ladder import Step
from harness.workloads.variants import Schedule

Comparison = tuple[Case, Case]  # a case and its reference
Trial = Inspected | WorkerFailed
_SCHEDULE = Schedule(batch_size=256, epochs=10)  # of a variant that is not bundled


@dataclass
class Cases:
    """Makes the cases of a run; tries a model of the user's once, before its first case.

    What makes or checks cases raises a HarnessError where one cannot be trained.
    """

    settings: Settings
    gpu: AnyGpu
    launch: Callable[[], AnyLauncher]  # called for the first trial
    on_trial: Callable[[Case, Trial], None]  # called with what the trial of a model has shown
    say: Callable[[str], None]  # called with what is worth knowing before the first case
    other: OtherVersion | None = field(default=None, init=False)  # of all references
    slow_steps: dict[str, int] = field(default_factory=dict, init=False)  # of models, as tried
    _seen_gpus: dict[str, str | None] = field(default_factory=dict, init=False)
    _trials: dict[Case, Trial] = field(default_factory=dict, init=False)

    @functools.cached_property
    def dataset(self) -> str:
        """The dataset of bundled models."""
        return datasets.resolve(self.settings.dataset)

    @functools.cached_property
    def _train_samples(self) -> int | None:
        return datasets.train_size(self.dataset)

    def check(self, sizes: Iterable[tuple[str | None, int]]) -> None:
        """Refuse a dataset and batch sizes of variants before anything is measured."""
        samples = self._train_samples
        for variant, batch_size in sizes:
            if self.settings.dataset != AUTO or not registry.is_own(variant or ""):
                check_batch_size(batch_size, self.dataset, samples)

    def check_device(self, device: str) -> None:
        """Refuse, with a `BadCase`, a device that the user named and that cannot be used here."""
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
        if reason is None and case.hosts > 1 and self.settings.hosts is None:
            reason = "one host; docs/scaling.md says how to start it on several"
        if reason is None and case.replicas > 1:
            reason = backend.undistributed() or _too_few_gpus(case)
        if reason is None and lever:
            reason = levers.unavailable(lever, case)
        return reason

    def _no_gpu(self, backend: str) -> str | None:
        if self.gpu.name is None:
            return self.gpu.reason
        if backend not in self._seen_gpus:
            try:
                seen = visible_gpus.of_framework(backend, self.gpu.cuda_device)
                reason = None if seen.gpus else backends.find(backend).unseen(seen.said)
                if seen.gpus and (late := late_first_step(backend, seen, self.gpu)):
                    self.say(late)
            except visible_gpus.NotListed as error:
                reason = str(error)
            self._seen_gpus[backend] = reason
        return self._seen_gpus[backend]

    def outline(self, **fields: Any) -> Case:
        """Return a case with what is known of it before its model is tried."""
        settings = self.settings
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
        """Complete a case from the settings and check it."""
        if unknown := sorted(set(fields) - {one.name for one in dataclasses.fields(Case)}):
            raise BadCase(f"a case has no {', '.join(unknown)}")
        case = self.outline(**{"dataset": self.dataset, **fields})
        registry.check(case.variant)
        if not registry.is_own(case.variant):
            check_case(case, self._train_samples, len(usable_cpus()), self.gpu)
            return case
        if self.settings.dataset == AUTO and "dataset" not in fields:
            case = replace(case, dataset=datasets.AUTO)
        check_case(case, None, len(usable_cpus()), self.gpu)
        found = self.trial(case)
        if isinstance(found, WorkerFailed):
            return _with_known_data(case)
        case = replace(case, dataset=found.dataset)
        check_batch_size(case.batch_size, case.dataset, found.train_samples)
        return case

    def comparison(
        self, *, differs_in: Mapping[str, Any] | None = None, **fields: Any
    ) -> Comparison:
        """Complete a case from its fields, and its reference, which differs in some of them.

        Where the run compares versions, every reference is the same case in the other version.
        """
        if self.other is not None:
            self.other.check(fields["variant"])
            differs_in = {"version": self.other.version.name}
        return self.case(**fields), self.case(**{**fields, **(differs_in or {})})

    def ladder(self, name: str, steps: Sequence[Step], **fields: Any) -> Ladder:
        """Complete the comparisons of a ladder, each step against the one before."""
        cases = [self.case(variant=s.variant, batch_size=s.batch_size, **fields) for s in steps]
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

        The first variant, or the one in `references`, is what a variant is compared with; where
        the run compares versions, the same training in the other version. None for batch sizes or
        epochs means those of the settings or of a variant's recipe.
        """
        cases: dict[str, list[tuple[Case, int]]] = {}
        for variant in dict.fromkeys(variants):
            schedule = registry.schedule(variant) or _SCHEDULE
            many = epochs or self.settings.epochs or schedule.epochs
            cases[variant] = [
                (self.case(variant=variant, batch_size=size, **fields), many)
                for size in batch_sizes or [schedule.batch_size]
            ]
        if self.other is not None:
            return self._recipes_of_versions(cases)
        first = next(iter(cases))
        found = []
        for variant, made in cases.items():
            reference = cases.get(references.get(variant, first), cases[first])[0]
            found += [Recipe(case, many, *reference) for case, many in made]
        return found

    def _recipes_of_versions(self, cases: Mapping[str, Sequence[tuple[Case, int]]]) -> list[Recipe]:
        assert self.other is not None
        found = []
        for variant, made in cases.items():
            self.other.check(variant)
            for case, epochs in made:
                there = replace(case, version=self.other.version.name)
                found += [Recipe(one, epochs, there, epochs) for one in (there, case)]
        return found

    def trial(self, case: Case) -> Trial:
        """Try a model of the user's once: what was found, or why it cannot be trained."""
        # Alone and plain: whether it can be trained does not depend on the rest.
        case = replace(case, levers=(), replicas=1, hosts=1)
        key = replace(case, batch_size=0, threads=0, seed=0)
        if key not in self._trials:
            setup = Setup(self.settings.protocol, self.launch(), self.gpu)
            found: Trial
            try:
                found = inspect(case, setup, self.dataset)
                dataset = found.dataset
                slow = self.slow_steps.get(case.variant, 0)
                self.slow_steps[case.variant] = max(slow, found.slow_steps)
            except WorkerFailed as error:
                found, dataset = error, _with_known_data(case).dataset
            self._trials[key] = self._trials[replace(key, dataset=dataset)] = found
            self.on_trial(case, found)
        return self._trials[key]

    def untrainable(self, case: Case) -> WorkerFailed | None:
        """Why a model of the user's cannot be trained; None where it can."""
        found = self.trial(case) if registry.is_own(case.variant) else None
        fixed = self.fixed_batch(case)
        if fixed is not None and fixed != case.batch_size:
            return WorkerFailed("error", fitting.other_batch(case.batch_size, fixed))
        return found if isinstance(found, WorkerFailed) else None

    def fixed_batch(self, case: Case) -> int | None:
        """The batch size that the inputs of a user's model fix; None where any is possible."""
        found = self.trial(case) if registry.is_own(case.variant) else None
        return found.batch_size if isinstance(found, Inspected) else None

    def levers(self, case: Case) -> list[str]:
        """The settings that are tried on a case by default."""
        found = self.trial(case) if registry.is_own(case.variant) else None
        pipeline = found.pipeline if isinstance(found, Inspected) else ""
        return levers.tried(case.backend, pipeline)

    def train_samples(self, case: Case) -> int:
        """Samples of an epoch of a case that can be trained."""
        found = self.trial(case) if registry.is_own(case.variant) else None
        return found.train_samples if isinstance(found, Inspected) else self._train_samples or 0


def late_first_step(backend: str, seen: visible_gpus.Seen, gpu: AnyGpu) -> str:
    """Say that the driver compiles the kernels of a framework first; empty where it need not."""
    capability = gpu.facts.compute_capability if gpu.facts else None
    if not seen.compiles_first(capability):
        return ""
    return (
        f"this build of {backend} has kernels for {', '.join(seen.kernels)} and not for compute "
        f"capability {capability}: the driver may compile them for half an hour at the first step, "
        "and keeps them (CUDA_CACHE_PATH); a newer build may have them"
    )


def _too_few_gpus(case: Case) -> str | None:
    """A CPU has as many logical devices as are wanted."""
    there = case.replicas if case.device == "cpu" or case.hosts > 1 else count()
    return None if there >= case.replicas else f"{case.replicas} GPUs are needed, there are {there}"


def _with_known_data(case: Case) -> Case:
    """A case that could not be tried is reported with random data: its own is unknown."""
    return replace(case, dataset=datasets.FITTED) if case.dataset == AUTO else case
