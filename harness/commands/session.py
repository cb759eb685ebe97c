"""One run, from checked settings to tables: what pytest and the command line share."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness import units
from harness.commands.options import AUTO, Settings
from harness.errors import BadCase
from harness.measure.budget import Budget
from harness.measure.case_checks import check_batch_size, check_case
from harness.measure.launcher import WorkerFailed
from harness.measure.machine import framework_gpus
from harness.measure.machine.facts import describe, usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.runner import Runner
from harness.measure.search import FIRST_BATCH
from harness.measure.trial import Inspected, inspect
from harness.records import (
    Case,
    Failure,
    Ladder,
    Outcome,
    Protocol,
    Recipe,
    Run,
    Rung,
    Search,
    Training,
    Tuning,
)
from harness.records import protocol as protocols
from harness.records.folders import locate, new_run_folder
from harness.records.resume import Record, check_resume
from harness.worker import backends
from harness.workloads import datasets, levers, registry
from harness.workloads.ladder import Step
from harness.workloads.variants import Schedule

if TYPE_CHECKING:
    from rich.console import Console

    from harness.measure.hosts.group import Follower, GroupLauncher
    from harness.measure.launcher import Launcher
    from harness.report.files import Written
    from harness.report.progress import Progress

_SCHEDULE = Schedule(batch_size=256, epochs=10)  # of a variant that is not bundled


class Workbench:
    """Makes cases, measures them, reports; starts nothing before the first case.

    Args:
        settings: Checked settings.
        gpu: From `gpu.open_gpu()`.
        progress: Where progress is shown.
        command: What was typed, to repeat the run.
    """

    def __init__(
        self,
        settings: Settings,
        gpu: AnyGpu,
        progress: "Console",
        command: str | None = None,
    ) -> None:
        self.settings = settings
        self._gpu = gpu
        self._unavailable: dict[tuple[str, str], str | None] = {}
        self.planned = 0
        self.lacking: dict[str, None] = {}  # levers that cannot be moved here, in their order
        self._progress = progress
        self._command = command
        self._dataset: str | None = None
        self._train_samples: int | None = None
        self._launcher: Launcher | GroupLauncher | None = None
        self._followers: list[Follower] | None = None
        self._runner: Runner | None = None
        self._shown: Progress | None = None
        self._budget = Budget(settings.max_seconds, 0, time.monotonic)
        self._inspected: dict[Case, Inspected | WorkerFailed] = {}

    def check(self, trained: Sequence[tuple[str | None, int]] = ()) -> None:
        """Resolve what a run needs before its first case.

        Args:
            trained: Variants and batch sizes, as far as they are known.

        Raises:
            HarnessError: the dataset, a batch size or the run to resume cannot be used, or a host
                of the job is late or differs.
        """
        if self.settings.hosts is not None and self._followers is None:
            from harness.measure.hosts.group import about, gather

            hosts, seconds = self.settings.hosts, self.settings.protocol.timeout_seconds
            self._progress.print(
                f"waiting for {hosts.size - 1} more of {hosts.size} hosts, on port {hosts.port}"
            )
            self._followers = gather(hosts, about(), seconds)
        if self._dataset is None:
            self._dataset = datasets.resolve(self.settings.dataset)
            self._train_samples = datasets.train_size(self._dataset)
            if self.settings.resume:
                folder = locate(self.settings.resume, self.settings.output)
                check_resume(folder, self.settings.protocol, describe(self._gpu))
        for variant, batch_size in trained:
            if self.settings.dataset != AUTO or not registry.is_own(variant or ""):
                check_batch_size(batch_size, self._dataset, self._train_samples)

    def unavailable(self, backend: str, device: str) -> str | None:
        """Say why a backend cannot train on a device here; None when it can.

        Whether a framework sees the GPU is asked once, in a process of its own.
        """
        key = (backend, device)
        if key not in self._unavailable:
            self._unavailable[key] = backends.find(backend).missing() or (
                self._no_gpu(backend) if device == "gpu" else None
            )
        return self._unavailable[key]

    def _no_gpu(self, backend: str) -> str | None:
        if self._gpu.name is None:
            return self._gpu.reason
        try:
            seen = framework_gpus.visible_gpus(backend, self._gpu.cuda_device)
        except framework_gpus.ProbeFailed as error:
            return str(error)
        return None if seen else backends.find(backend).unseen()

    def lever_unavailable(self, lever: str, backend: str, device: str) -> str | None:
        """Say why a lever cannot be moved here; what tunes a case then notes it, too."""
        threads = self.settings.threads
        jit = backends.find(backend).jit_by_default
        like = Case("", "", 1, backend, device, threads, self.settings.optimizer, jit=jit)
        reason = levers.unavailable(lever, like)
        if reason is not None:
            self.lacking[lever] = None
        return reason

    def plan(self) -> str:
        """Say in one line what is going to be measured, and about how long it takes."""
        settings = self.settings
        seconds = protocols.expected_seconds(settings.protocol, self.planned)
        limit = settings.max_seconds
        if limit is not None and limit < seconds:
            about = f"repeats will be dropped to stay near {units.seconds(limit)}"
        else:
            about = f"about {max(1, round(seconds / 60))} min"
        gpu = f", {self._gpu.name}" if "gpu" in settings.devices else ""
        tests = "test" if self.planned == 1 else "tests"
        own = " (your own models: what fits them)" if self._own_data() else ""
        return (
            f"training benchmark: {self.planned} {tests}, {settings.protocol.effort} effort "
            f"({settings.protocol.blocks} blocks each), dataset {self._dataset}"
            f"{own}, "
            f"{settings.threads} CPU threads{gpu}; {about}"
        )

    def _own_data(self) -> bool:
        """Whether a model of the user's may get other data than the bundled ones."""
        return self.settings.dataset == AUTO and any(map(registry.is_own, self.settings.variants))

    def case(self, **fields: Any) -> Case:
        """Complete a case from the settings and check it.

        Raises:
            HarnessError: it cannot be trained.
        """
        self.check()
        assert self._dataset is not None  # noqa: S101  (it has been resolved)
        unknown = sorted(set(fields) - {f.name for f in dataclasses.fields(Case)})
        if unknown:
            raise BadCase(f"a case has no {', '.join(unknown)}")
        settings = self.settings
        defaults = {
            "dataset": self._dataset,
            "backend": settings.backend,
            "device": settings.devices[0],
            "threads": settings.threads,
            **({"batch_size": settings.batch_sizes[0]} if settings.batch_sizes else {}),
            "jit": backends.find(fields.get("backend", settings.backend)).jit_by_default,
            "loss": settings.loss,
            "optimizer": settings.optimizer,
            "input_shape": settings.input_shape,
        }
        case = Case(**{**defaults, **fields})
        registry.check(case.variant)
        if not registry.is_own(case.variant):
            check_case(case, self._train_samples, len(usable_cpus()), self._gpu)
            return case
        if settings.dataset == AUTO and "dataset" not in fields:
            case = dataclasses.replace(case, dataset=datasets.AUTO)
        check_case(case, None, len(usable_cpus()), self._gpu)
        found = self.inspected(case)
        if isinstance(found, WorkerFailed):
            return case
        case = dataclasses.replace(case, dataset=found.dataset)
        check_batch_size(case.batch_size, case.dataset, found.train_samples)
        return case

    def inspected(self, case: Case) -> "Inspected | WorkerFailed":
        """Try a model of the user's once, before its first round.

        Returns:
            What was found, or why it cannot be trained.
        """
        # Alone and plain: whether it can be trained does not depend on the rest.
        case = dataclasses.replace(case, levers=(), replicas=1, hosts=1)
        key = dataclasses.replace(case, batch_size=0, threads=0, seed=0)
        if key not in self._inspected:
            assert self._dataset is not None  # noqa: S101  (`case` has resolved it)
            timeout = self.settings.protocol.timeout_seconds
            try:
                found = inspect(case, self._launch(), timeout, usable_cpus(), self._dataset)
            except WorkerFailed as error:
                self._inspected[key] = error
                self._observer().inspected(case, f"{error.kind}: {error}")
            else:
                self._inspected[key] = found
                known = dataclasses.replace(key, dataset=found.dataset)
                self._inspected[known] = found
                self._observer().inspected(case, _words(found))
                if found.no_data:
                    text = f"{found.no_data}; trained on random data that fits the model"
                    self._observer().inspected(case, text)
        return self._inspected[key]

    def untrainable(self, case: Case) -> "WorkerFailed | None":
        """Why a model of the user's cannot be trained; None where it can."""
        if not registry.is_own(case.variant):
            return None
        found = self.inspected(case)
        return found if isinstance(found, WorkerFailed) else None

    def search(self, **fields: Any) -> Search:
        """Search for the batch sizes of a variant; the first call starts the run.

        Raises:
            HarnessError: it cannot be trained.
        """
        case = self.case(batch_size=FIRST_BATCH, **fields)
        samples = self._train_samples or 0
        if registry.is_own(case.variant):
            found = self.inspected(case)
            if isinstance(found, WorkerFailed):
                self._running().refuse(case, case, found)
                return Search(case, (), None, str(found), ())
            samples = found.train_samples
        return self._running().search(case, samples, self.settings.memory_bytes)

    def expect(self, comparisons: int) -> None:
        """Set how many comparisons are to come."""
        self.planned = comparisons
        self._budget.expect(comparisons)
        if self._shown is not None:
            self._shown.expect(comparisons)

    def expect_more(self, comparisons: int) -> None:
        """Add to how many comparisons are to come."""
        self.planned += comparisons
        self._budget.expect_more(comparisons)
        if self._shown is not None:
            self._shown.expect(self.planned)

    def measure(
        self, case: Case, reference: Case, *, smoke: bool = False, early_steps: int | None = None
    ) -> Outcome:
        """Measure a case against its reference; the first call starts the run.

        Args:
            case: What is compared.
            reference: With what.
            smoke: One round a side, to see that it works.
            early_steps: See `block.run_block`.

        Raises:
            HarnessError: the run's folder cannot be used.
        """
        runner = self._running(smoke=smoke)
        if (failed := self.untrainable(case)) is not None:
            return runner.refuse(case, reference, failed)
        if (failed := self.untrainable(reference)) is not None:
            message = f"the reference {reference.variant} cannot be trained: {failed}"
            failed = WorkerFailed(failed.kind, message, failed.log_tail)
            return runner.refuse(case, reference, failed)
        return runner.measure(case, reference, early_steps)

    def tuning(self, plain: Case, *, smoke: bool = False) -> Tuning:
        """What this run has tried so far to make a case faster."""
        return self._running(smoke=smoke).kept(Tuning, plain.id) or Tuning(plain)

    def keep(self, record: Record) -> None:
        """Keep a record in the run."""
        self._running().keep(record)

    def run(self) -> Run:
        """All that was measured so far."""
        return self._running().run()

    def climb(
        self, name: str, steps: Sequence[Step], fields: Mapping[str, Any], *, smoke: bool = False
    ) -> None:
        """Keep which comparisons make a ladder, before they are measured.

        Args:
            name: Of the ladder.
            steps: All of them.
            fields: Of every case.
            smoke: As for `measure`.

        Raises:
            HarnessError: a case of it cannot be trained.
        """
        cases = [
            self.case(variant=step.variant, batch_size=step.batch_size, **fields) for step in steps
        ]
        changes = [step.change for step in steps[1:]]
        rungs = zip(changes, cases[1:], cases[:-1], strict=True)
        self._running(smoke=smoke).keep(Ladder(name, tuple(Rung(*rung) for rung in rungs)))

    def recipes(
        self,
        variants: Sequence[str],
        batch_sizes: Sequence[int] | None,
        epochs: int | None,
        references: Mapping[str, str],
        fields: Mapping[str, Any],
    ) -> list[Recipe]:
        """Complete trainings in full from the settings and check them.

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
            many = epochs or self.settings.epochs or schedule.epochs
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

    def converge(
        self, recipes: Sequence[Recipe], *, smoke: bool = False
    ) -> list[Training | Failure]:
        """Train recipes in full, in turns; the first call starts the run.

        Raises:
            HarnessError: the run's folder cannot be used.
        """
        return self._running(smoke=smoke).train(recipes)

    def _running(self, *, smoke: bool = False) -> Runner:
        """Return the runner; the first call starts the run."""
        if self._runner is None:
            self._runner = self._start(_smoke(self.settings.protocol) if smoke else None)
        return self._runner

    def _start(self, protocol: Protocol | None) -> Runner:
        settings = self.settings
        if settings.resume:
            folder = locate(settings.resume, settings.output)
        else:
            folder = new_run_folder(settings.output)
        runner = Runner(
            folder,
            protocol or settings.protocol,
            describe(self._gpu),
            self._launch(),
            self._observer(),
            self._gpu,
            self._budget,
            settings.target,
            self._command,
        )
        if runner.damaged:
            self._observer().damaged(folder, runner.damaged)
        return runner

    def _launch(self) -> "Launcher | GroupLauncher":
        """Return the launcher; the first call begins to import the framework."""
        if self._launcher is None:
            from harness.measure.launcher import Launcher

            own = self._launcher = Launcher(cuda_device=self._gpu.cuda_device)
            if self.settings.hosts is not None:
                from harness.measure.hosts.group import GroupLauncher

                self._launcher = GroupLauncher(own, self.settings.hosts, self._followers or [])
            # The variant does not matter: what is imported is the same for all.
            likely = Case("", "", 1, self.settings.backend, self.settings.devices[0])
            self._launcher.prepare(likely)
        return self._launcher

    def _observer(self) -> "Progress":
        if self._shown is None:
            from harness.report.progress import Progress

            self._shown = Progress(self._progress, self.planned)
        return self._shown

    def close(self) -> None:
        """End every worker and keep what was measured."""
        if self._launcher is not None:
            self._launcher.close()
        for follower in self._followers or ():
            follower.close()
        if self._runner is not None:
            self._runner.close()

    def write(self) -> "Written | None":
        """Write tables, charts and page; None when nothing was measured.

        Raises:
            BadRun: the folder cannot be written.
        """
        if self._runner is None:
            return None
        run = self._runner.run()
        if not run.outcomes and not run.trainings and not run.searches:
            return None
        from harness.report import files
        from harness.report.names import shortened

        return files.write(shortened(self._runner.save()), self._runner.folder)


def _words(found: Inspected) -> str:
    losses = " → ".join(f"{loss:.4g}" for loss in found.losses)
    fitted = found.dataset == datasets.FITTED
    made = "random data" if fitted else f"data {found.dataset}"
    return (
        f"builds and trains: {units.count(found.parameters)} parameters, {found.signature}, "
        f"loss {losses}; {made}"
    )


def _smoke(protocol: Protocol) -> Protocol:
    return dataclasses.replace(
        protocol, effort="quick", blocks=1, steps=1, min_pairs=1, max_pairs=1
    )
