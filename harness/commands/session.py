"""A run from its first case to its files: what pytest and the command line share."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import units
from harness.commands import interrupts, versions
from harness.commands.cases import Cases, Comparison, Trial
from harness.commands.options import AUTO, Settings
from harness.errors import BadRun
from harness.measure.budget import Budget
from harness.measure.group import NO_WISH, Wish
from harness.measure.grouping import Groups
from harness.measure.hosts import estimate
from harness.measure.hosts.about import this_host
from harness.measure.hosts.discovery import Hosts
from harness.measure.hosts.door import Door
from harness.measure.hosts.follow import follow
from harness.measure.hosts.group import GroupLauncher
from harness.measure.machine import energy
from harness.measure.machine.facts import describe, usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.host_state import read_host_state
from harness.measure.runner import Runner
from harness.measure.search import FIRST_BATCH
from harness.measure.side import Setup
from harness.measure.versions.open_version import open_version
from harness.measure.versions.place import Place
from harness.measure.workers import launcher as launchers
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Machine, Measurement, Outcome, Protocol, Search, Version
from harness.records import protocol as protocols
from harness.records.folders import RUNS, locate, new_run_folder
from harness.records.resume import ResumedRun, unfinished
from harness.workloads import datasets

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.files import Written
    from harness.report.progress import Progress


class Session:
    """Measures cases and writes the run; starts nothing before the first case.

    As a context manager it ends the workers; an interrupt ends the body, too, and what was
    measured until then is kept. Its methods raise a HarnessError where the folder of the run or
    something that a case needs cannot be used.

    Args:
        command: What was typed, to repeat the run.
        smoke: One round per side, to see that everything works.

    Attributes:
        unavailable_levers: Settings that no test tries since they cannot be tried here, in order.
        planned: Number of comparisons in all.
        planner: Plans them; called before the first is measured.
        interrupt: What has interrupted the body of the context manager.
        places: Where workers of other versions run, by the name of the version.
        is_decided: Ends a comparison at a look; None for what the settings say. Set before the
            first comparison.
    """

    def __init__(
        self, settings: Settings, gpu: AnyGpu, console: "Console", command: str, *, smoke: bool
    ) -> None:
        self.settings = settings
        self.cases = Cases(settings, gpu, self._launch, self._show_trial, self.say)
        self.unavailable_levers: dict[str, None] = {}
        self.planned = 0
        self.planner: Callable[[], None] | None = None
        self.interrupt: KeyboardInterrupt | None = None
        self.places: dict[str, Place] = {}
        self.is_decided: Callable[[Measurement], bool] | None = None
        self.gpu = gpu
        self.smoke = smoke
        self._console = console
        self._command = command
        self._budget = Budget(settings.max_seconds, 0, time.monotonic)
        self._launcher: launchers.Launcher | GroupLauncher | None = None
        self._door: Door | None = None
        self._runner: Runner | None = None
        self._groups = Groups()

    def __enter__(self) -> "Session":
        """Start nothing yet."""
        return self

    def __exit__(self, kind: object, error: object, where: object) -> bool:
        """End the workers; an interrupt goes no further."""
        self.close()
        self.interrupt = error if isinstance(error, KeyboardInterrupt) else None
        return self.interrupt is not None

    def check(
        self, sizes: Iterable[tuple[str | None, int]] = (), models: Sequence[str] = ()
    ) -> None:
        """Check what a run needs before its first case.

        Args:
            sizes: Batch sizes of variants, as far as known.
            models: That are trained, as far as known.

        Raises:
            HarnessError: the dataset, a batch size, the other version or the run to resume cannot
                be used, or a host of the job is late or differs.
        """
        settings = self.settings
        versions.check(settings)
        if settings.wanted_version and self.cases.other is None:
            self._open_version(models)
        if settings.hosts is not None and self._door is None:
            self._gather(settings.hosts)
        if why := self.gpu.refused.get("locked_clock"):
            self._console.print(f"the clock of the GPU cannot be held: {why}", style="yellow")
        for part in self._machine.withheld:
            self._console.print(f"{part.what}; {part.advice}", style="yellow")
        self.cases.check(sizes)
        if (folder := self._resumed) and settings.resume != AUTO:
            ResumedRun.read(folder).check(folder, settings.protocol, self._machine, self.version)

    def say(self, text: str) -> None:
        """Print a line of progress."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    @property
    def version(self) -> Version | None:
        """What references are trained in, where that is not what is here."""
        return None if self.cases.other is None else self.cases.other.version

    def _open_version(self, models: Sequence[str]) -> None:
        settings = self.settings
        wanted = settings.wanted_version
        other = open_version(wanted, models, settings.backend, settings.output)
        self.cases.other = other
        self.places |= other.places
        for model in models:
            other.check(model)
        for line in versions.lines(other.version):
            self.say(line)

    def _gather(self, hosts: Hosts) -> None:
        """Wait for the other hosts of the job."""
        settings, more = self.settings, hosts.size - 1
        self._console.print(f"waiting for {more} more of {hosts.size} hosts, on port {hosts.port}")
        door = self._door = Door.open(hosts, settings.output, this_host(), settings.timeout)
        door.on_wait = self._console.print
        door.wait(settings.timeout)

    def expect(self, comparisons: int) -> None:
        """Add to the number of comparisons that are to come."""
        self.planned += comparisons
        self._budget.expect_more(comparisons)
        self._progress.expect(self.planned)

    def search(self, variant: str, device: str) -> Search:
        """Search for the batch sizes of a variant; none is chosen if it cannot be trained."""
        case = self.cases.case(batch_size=FIRST_BATCH, variant=variant, device=device)
        fixed = self.cases.fixed_batch(case)
        case = dataclasses.replace(case, batch_size=fixed or case.batch_size)
        if (failed := self.cases.untrainable(case)) is not None:
            self.expect(1)
            self.runner.refuse(case, case, failed)
            return Search(case, (), None, str(failed), ())
        samples = self.cases.train_samples(case)
        most_bytes = self.settings.memory_bytes
        return self.runner.search(case, samples, most_bytes, fixed=fixed is not None)

    def plan(self, comparisons: Iterable[Comparison], wish: Wish = NO_WISH) -> None:
        """Measure these comparisons together, as many as there can be at once.

        The first call of `measure` for one of a group measures all of it.
        """
        for comparison in comparisons:
            self._groups.add(comparison, wish)

    def measure(self, case: Case, reference: Case, wish: Wish = NO_WISH) -> Outcome:
        """Measure a case against its reference, and all that was planned together with it.

        A case whose reference cannot be trained is measured against itself.
        """
        if (known := self.runner.known(case, reference)) is not None:
            self.runner.show_known(known)
            return known
        self._plan()
        taken = self._groups.take((case, reference), wish)
        group = {one: w for one, w in taken.items() if not self._refuse(*one)}
        runner, cases = self.runner, (case for one in group for case in one)
        self._launch().preload(cases, self._groups.coming())
        runner.measure_group(group)
        for one, its in taken.items():
            alone = (one[0], one[0])
            refused = one not in group and runner.known(*alone) is None
            if refused and self.cases.untrainable(one[0]) is None:
                self.expect(0 if alone in self._groups else 1)
                self.measure(*alone, its)
        return self.runner.measure(case, reference)

    def _refuse(self, case: Case, reference: Case) -> bool:
        """Keep the failure of a comparison whose model failed in its trial."""
        if (failed := self.cases.untrainable(case)) is not None:
            self.runner.refuse(case, reference, failed)
        elif (failed := self.cases.untrainable(reference)) is not None:
            message = f"the reference {reference.variant} cannot be trained: {failed}"
            failed = WorkerFailed(failed.kind, message, failed.log_tail)
            self.runner.refuse(case, reference, failed)
        return failed is not None

    @property
    def protocol(self) -> Protocol:
        """How to measure as many comparisons as are planned."""
        chosen = self.settings.protocol
        if self.settings.until_decided:
            return protocols.until_decided(chosen)
        return protocols.of_few(chosen) if self.planned < protocols.FEW else chosen

    def expected_seconds(self) -> float:
        """Estimate how long the planned comparisons take; a worker is tried for several hosts."""
        plain = protocols.expected_seconds(self.protocol, self.planned)
        if self._door is None:
            return plain
        self._plan()
        several = [one for one in self._groups if one[0][0].hosts > 1]
        if not several:
            return plain
        (_, reference), _ = several[0]
        setup = Setup(self.protocol, self._launch(), self.gpu)
        try:
            found = estimate.tried(reference, setup)
        except WorkerFailed:  # its comparisons will say so
            return plain
        others = protocols.expected_seconds(self.protocol, self.planned - len(several))
        machines = self._door.machines()
        return others + estimate.expected_seconds(several, found, self.protocol, machines)

    def _plan(self) -> None:
        planner, self.planner = self.planner, None
        if planner is not None:
            planner()

    @property
    def runner(self) -> Runner:
        """The runner of this run; the first use makes or resumes the run's folder."""
        if self._runner is None:
            settings, progress = self.settings, self._progress
            protocol = self.protocol
            if self.smoke:
                once: dict[str, Any] = {"blocks": 1, "steps": 1, "min_pairs": 1, "max_pairs": 1}
                protocol = dataclasses.replace(settings.protocol, effort="quick", **once)
            from harness.analyze import verdicts

            folder = self._resumed or new_run_folder(settings.output)
            self._runner = Runner.open(
                folder,
                Setup(
                    protocol,
                    self._launch(),
                    self.gpu,
                    self._meter,
                    slow_steps=self.cases.slow_steps,
                    is_decided=self.is_decided
                    or versions.decided_by(settings)
                    or verdicts.is_decided,
                    is_hopeless=verdicts.is_hopeless,
                    read_host_state=functools.partial(read_host_state, self._partners),
                ),
                self._machine,
                progress,
                self._budget,
                target_accuracy=settings.target,
                command=self._command,
                version=self.version,
            )
            if self._runner.damaged:
                progress.damaged(folder, self._runner.damaged)
        return self._runner

    @functools.cached_property
    def _meter(self) -> energy.Meter:
        return energy.open_meter(usable_cpus())

    @functools.cached_property
    def _machine(self) -> Machine:
        """This machine, with what is held back on any host of the job."""
        machine = dataclasses.replace(describe(self.gpu), cpu_energy=energy.describe(self._meter))
        others = () if self._door is None else self._door.withheld()
        return dataclasses.replace(machine, withheld=(*machine.withheld, *others))

    def _partners(self) -> set[int]:
        return set() if self._door is None else self._door.partners()

    @functools.cached_property
    def _resumed(self) -> Path | None:
        """The folder of the run to go on with; None to begin one."""
        resume, results = self.settings.resume, self.settings.output
        if resume != AUTO:
            return locate(resume, results) if resume else None
        folder = unfinished(results / RUNS, self._command)
        if folder is None:
            return None
        try:
            ResumedRun.read(folder).check(
                folder, self.settings.protocol, self._machine, self.version
            )
        except BadRun as error:  # as on another node
            self._console.print(f"cannot go on with a run, and begins one: {error}")
            return None
        self._console.print(f"goes on with {folder}")
        return folder

    def follow(self) -> int:
        """Serve the first host of a job until its run ends, and count the workers started here.

        Raises:
            HarnessError: the first host is late, refuses this one, or is lost during the run.
        """
        hosts, seconds = self.settings.hosts, self.settings.timeout
        assert hosts is not None
        with launchers.Launcher(cuda_device=self.gpu.cuda_device) as launcher:
            launcher.prepare(self.cases.outline(backend="jax"))  # the only one of several hosts
            return follow(hosts, self.settings.output, this_host(), launcher, seconds)

    def end(self) -> None:
        """Note that the run has tried all that its command asks for."""
        if self._runner is not None:
            self._runner.end()

    def close(self) -> None:
        """End every worker and keep what was measured."""
        if self._launcher is not None:
            self._launcher.close()
        if self._door is not None:
            self._door.close()
        if self.cases.other is not None:
            self.cases.other.close()
        if self._runner is not None:
            self._runner.close()

    def write(self) -> "Written | None":
        """Analyze the run and write its tables, charts and page; None if nothing was measured.

        A signal that would end a run as Ctrl-C does is ignored from now on.
        """
        interrupts.no_more()
        if self._runner is None:
            return None
        run = self._runner.run()
        if not (run.outcomes or run.trainings or run.searches or run.profiles):
            return None
        from harness.report import files
        from harness.report.names import shortened

        return files.write(shortened(self._runner.save()), self._runner.folder)

    def _launch(self) -> launchers.Launcher | GroupLauncher:
        """Return the launcher; the first call begins to import the framework."""
        if self._launcher is None:
            gpu, settings = self.gpu.cuda_device, self.settings
            own = self._launcher = launchers.Launcher(
                cuda_device=gpu, traceback=settings.traceback, places=self.places
            )
            if settings.hosts is not None and self._door is not None:
                self._launcher = GroupLauncher(own, settings.hosts, self._door)
            # The variant does not matter: what is imported is the same for all.
            self._launcher.prepare(self.cases.outline())
        return self._launcher

    @functools.cached_property
    def _progress(self) -> "Progress":
        from harness.report.progress import Progress

        return Progress(self._console, self.planned)

    def _show_trial(self, case: Case, found: Trial) -> None:
        if isinstance(found, WorkerFailed):  # each of its comparisons fails
            return
        losses = " → ".join(f"{loss:.4g}" for loss in found.losses)
        of = f" ({found.pipeline})" if found.pipeline else ""
        made = "random data" if found.dataset == datasets.FITTED else f"data {found.dataset}{of}"
        parameters = f"{units.count(found.parameters)} parameters"
        tried = f"{parameters}, {found.signature}, loss {losses}; {made}"
        self._progress.inspected(case, f"builds and trains: {tried}")
        if found.slow_steps:
            text = f"the first {found.slow_steps} steps are slow; they are not timed"
            self._progress.inspected(case, text)
        if found.no_data:
            text = f"{found.no_data}; trained on random data that fits the model"
            self._progress.inspected(case, text)
