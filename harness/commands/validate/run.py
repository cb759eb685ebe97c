"""A validation from start to end: its parts in order, its results in a folder."""

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from harness.commands.validate import arithmetic, judgements, layers, output, readings, truths
from harness.commands.validate.against_keras import blocks, judged
from harness.commands.validate.claims import Check, decided
from harness.commands.validate.truths import Effort, SlowedLauncher, Trial, slowed
from harness.errors import BadRun
from harness.measure.budget import Budget
from harness.measure.group import NO_WISH
from harness.measure.machine.facts import describe, usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.runner import Observer, Runner
from harness.measure.side import AnyLauncher, Setup
from harness.measure.workers.launcher import Launcher
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Case, Failure, Machine, Protocol, from_json, run_file, to_json
from harness.records.journal import NAME as JOURNAL
from harness.records.resume import ResumedRun
from harness.worker import backends
from harness.workloads import datasets

NAME = "validation.json"
_FEWEST_DISTURBED = 6  # blocks, so that two are


@dataclass
class Validation:
    """A validation of the method on this machine's CPU; made by `Validation.open`."""

    folder: Path
    effort: Effort
    gpu: AnyGpu
    observer: Observer
    backends: Sequence[str]  # where layers are copied
    machine: Machine
    dataset: str  # of the bundled models
    found: dict[str, Sequence[Check]]  # by part, in the order of `PARTS`

    @classmethod
    def open(
        cls,
        folder: Path,
        effort: Effort,
        gpu: AnyGpu,
        observer: Observer,
        backends: Sequence[str],
    ) -> Self:
        """Begin a validation, or resume the one that the folder holds.

        The GPU only describes the machine. Raises BadRun if the folder cannot be read.
        """
        found: dict[str, Sequence[Check]] = {}
        dataset, path = "auto", folder / NAME
        if path.exists():
            try:
                data = json.loads(path.read_text(encoding="utf-8"))
                found = {**from_json(dict[str, tuple[Check, ...]], data["parts"])}
                dataset = str(data.get("dataset", dataset))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadRun(f"{path} is damaged: {error}") from error
        machine = describe(gpu)
        return cls(
            folder, effort, gpu, observer, backends, machine, datasets.resolve(dataset), found
        )

    def run(self, parts: Sequence[str], on_part: Callable[[str, Sequence[Check]], None]) -> None:
        """Try parts of the method; `on_part` gets a part and its checks once it is done."""
        self._save()
        with Launcher() as launcher:
            for part in (name for name in PARTS if name in parts):
                try:
                    checks = list(PARTS[part](self, launcher))
                except WorkerFailed as error:
                    checks = [_failed(part, f"{error.kind}: {error}")]
                self.found[part] = checks
                self._save()
                on_part(part, checks)

    def _save(self) -> None:
        parts = {name: to_json(self.found[name]) for name in PARTS if name in self.found}
        machine = to_json(self.machine)
        data = {"id": self.folder.name, "dataset": self.dataset, "machine": machine, "parts": parts}
        path, partial = self.folder / NAME, self.folder / f"{NAME}.part"
        try:
            partial.write_text(json.dumps(data, indent=1), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise BadRun(f"cannot write {path}: {error.strerror}") from error

    def case(self, variant: str, batch_size: int, backend: str = "tensorflow") -> Case:
        """Return the case of a bundled model on all threads."""
        return Case(
            variant,
            self.dataset,
            batch_size,
            backend,
            threads=len(usable_cpus()),
            jit=backends.find(backend).jit_by_default,
        )

    def runner(
        self, part: str, comparisons: int, launcher: AnyLauncher, protocol: Protocol
    ) -> contextlib.closing[Runner]:
        """Open the run of a part, which has so many comparisons."""
        setup = Setup(protocol, launcher, self.gpu)
        budget = Budget(None, comparisons, time.monotonic)
        return contextlib.closing(
            Runner.open(self.folder / part, setup, self.machine, self.observer, budget)
        )

    def compare(
        self,
        part: str,
        wanted: Sequence[Trial],
        launcher: AnyLauncher,
        protocol: Protocol,
        *judges: Callable[[judgements.Measured], Iterator[Check]],
    ) -> Iterator[Check]:
        """Measure trials in a run of their own and judge them; a failure falls short."""
        measured = []
        with self.runner(part, len(wanted), launcher, protocol) as runner:
            for _, group in itertools.groupby(wanted, key=lambda trial: trial.reference):
                runner.measure_group({(t.case, t.reference): NO_WISH for t in group})
            for trial in wanted:
                outcome = runner.measure(trial.case, trial.reference)
                if isinstance(outcome, Failure):
                    yield _failed(part, f"{outcome.kind}: {outcome.message}")
                else:
                    measured.append((trial, outcome))
        if measured:
            output.draw(self.folder, part, measured, self.machine)
        for judge in judges:
            yield from judge(measured)


def _failed(part: str, why: str) -> Check:
    return decided(part, "every comparison is measured", why, 1, holds=False)


def _noise(v: Validation, launcher: Launcher) -> Iterator[Check]:
    wanted = slowed(v.case(*truths.USUAL), v.effort.trials["noise"])
    judges = judgements.noise, judgements.order, judgements.watching
    starts = SlowedLauncher(launcher, wanted)
    return v.compare("noise", wanted, starts, v.effort.protocol, *judges)


def _slowdowns(v: Validation, launcher: Launcher) -> Iterator[Check]:
    wanted = slowed(v.case(*truths.SHORT), v.effort.trials["slowdowns"])
    protocol = replace(v.effort.protocol, steps=truths.CLAIMED_STEPS)
    starts = SlowedLauncher(launcher, wanted)
    return v.compare("slowdowns", wanted, starts, protocol, judgements.slowdowns)


def _disturbed(v: Validation, launcher: Launcher) -> Iterator[Check]:
    wanted = slowed(v.case(*truths.SHORT), v.effort.trials["disturbed"])
    several = max(_FEWEST_DISTURBED, v.effort.protocol.blocks)
    protocol = replace(v.effort.protocol, steps=truths.CLAIMED_STEPS, blocks=several)
    journal = v.folder / "disturbed" / JOURNAL
    begun = ResumedRun.read(journal.parent).blocks if journal.exists() else {}
    with contextlib.closing(truths.DisturbedLauncher(launcher, wanted, begun)) as busy:
        yield from v.compare("disturbed", wanted, busy, protocol, judgements.disturbed)


def _readings(v: Validation, launcher: Launcher) -> Iterator[Check]:
    yield readings.memory(launcher, v.effort.readings)
    yield from readings.cpu(launcher, v.effort.readings)
    yield readings.watching(launcher, v.case(*truths.SHORT), truths.CLAIMED_STEPS, v.effort.blocks)


def _keras(v: Validation, launcher: Launcher) -> Iterator[Check]:
    return judged(blocks(launcher, v.case(*truths.USUAL), v.effort.blocks))


def _layers(v: Validation, launcher: Launcher) -> Iterator[Check]:
    comparisons = v.effort.comparisons(["layers"], v.backends)
    with v.runner("layers", comparisons, launcher, layers.PROTOCOL) as runner:
        for backend in v.backends:
            try:
                for model in v.effort.changed:
                    case = v.case(model, layers.BATCH_SIZE, backend)
                    # A second thread may compute one copy beside another, which no row foretells.
                    case = replace(case, threads=1)
                    for failed in layers.measure(runner, case):
                        yield _failed(backend, f"{failed.kind}: {failed.message}")
            except WorkerFailed as error:
                yield _failed(backend, f"{error.kind}: {error}")
        found = layers.foretold(runner.run())
    output.draw_layers(v.folder, found, v.machine)
    yield from layers.judge(found)


def _arithmetic(v: Validation, _launcher: Launcher) -> Iterator[Check]:
    yield from arithmetic.simulated(v.effort.simulated)
    for part in ("noise", "slowdowns", "disturbed"):
        if (v.folder / part / run_file.NAME).exists():
            yield from arithmetic.of_run(run_file.read(v.folder / part))
            return


PARTS: dict[str, Callable[[Validation, Launcher], Iterator[Check]]] = {
    "noise": _noise,
    "slowdowns": _slowdowns,
    "disturbed": _disturbed,
    "readings": _readings,
    "keras": _keras,
    "layers": _layers,
    "arithmetic": _arithmetic,
}
