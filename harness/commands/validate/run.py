"""A validation from start to end: its parts in order, its results in a folder."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from harness.commands.validate import (
    against_keras,
    arithmetic,
    judgements,
    output,
    readings,
    truths,
)
from harness.commands.validate.claims import Check
from harness.commands.validate.slowed import DisturbedLauncher, SlowedLauncher
from harness.commands.validate.truths import Effort, Trial
from harness.errors import BadRun
from harness.measure.budget import Budget
from harness.measure.launcher import Launcher
from harness.measure.machine.facts import describe, usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.runner import Observer, Runner
from harness.measure.side import AnyLauncher, Setup
from harness.measure.worker_process import WorkerFailed
from harness.records import (
    Case,
    Failure,
    Machine,
    Measurement,
    Protocol,
    Run,
    from_json,
    run_file,
    to_json,
)
from harness.records.journal import NAME as JOURNAL
from harness.records.resume import ResumedRun
from harness.workloads import datasets

NAME = "validation.json"
_FEWEST_DISTURBED = 6  # blocks, so that two are


@dataclass
class Validation:
    """A validation of the method on this machine's CPU; made by `Validation.open`.

    Attributes:
        dataset: What the bundled models are trained on.
        found: Checks by part, in the order of `PARTS`.
    """

    folder: Path
    effort: Effort
    gpu: AnyGpu
    observer: Observer
    machine: Machine
    dataset: str
    found: dict[str, list[Check]]

    @classmethod
    def open(cls, folder: Path, effort: Effort, gpu: AnyGpu, observer: Observer) -> Self:
        """Begin a validation, or resume the one that the folder holds.

        Args:
            folder: The folder of the validation.
            effort: How much is tried.
            gpu: From `gpu.open_gpu()`; only describes the machine.
            observer: Shows progress.

        Raises:
            BadRun: the folder cannot be read.
        """
        found: dict[str, list[Check]] = {}
        dataset, path = "auto", folder / NAME
        if path.exists():
            try:
                data = json.loads(path.read_text(encoding="utf-8"))
                for part, checks in data["parts"].items():
                    found[part] = [from_json(Check, check) for check in checks]
                dataset = str(data.get("dataset", dataset))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadRun(f"{path} is damaged: {error}") from error
        machine = describe(gpu)
        return cls(folder, effort, gpu, observer, machine, datasets.resolve(dataset), found)

    def run(self, parts: Sequence[str], on_part: Callable[[str, Sequence[Check]], None]) -> None:
        """Try parts of the method.

        Args:
            parts: Names among `PARTS`.
            on_part: Called with a part and its checks once it is done.

        Raises:
            HarnessError: the folder cannot be used.
        """
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
        data = {
            "id": self.folder.name,
            "dataset": self.dataset,
            "machine": to_json(self.machine),
            "parts": parts,
        }
        path, partial = self.folder / NAME, self.folder / f"{NAME}.part"
        try:
            partial.write_text(json.dumps(data, indent=1), encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise BadRun(f"cannot write {path}: {error.strerror}") from error

    def case(self, variant: str, batch_size: int) -> Case:
        """Return the case of a bundled model on all threads."""
        return Case(variant, self.dataset, batch_size, threads=len(usable_cpus()))

    def compare(
        self, part: str, wanted: Sequence[Trial], launcher: AnyLauncher, protocol: Protocol
    ) -> tuple[list[tuple[Trial, Measurement]], list[Check]]:
        """Measure trials in a run of their own; a failure is a check that falls short."""
        runner = Runner.open(
            self.folder / part,
            Setup(protocol, launcher, self.gpu),
            self.machine,
            self.observer,
            Budget(None, len(wanted), time.monotonic),
        )
        measured, failed = [], []
        try:
            for trial in wanted:
                outcome = runner.measure(trial.case, trial.reference)
                if isinstance(outcome, Failure):
                    failed.append(_failed(part, f"{outcome.kind}: {outcome.message}"))
                else:
                    measured.append((trial, outcome))
        finally:
            runner.close()
        if measured:
            output.draw(self.folder, part, measured, self.machine)
        return measured, failed

    def blocks_done(self, part: str) -> dict[str, int]:
        """Numbers of blocks of unfinished comparisons of that part, by key."""
        if not (self.folder / part / JOURNAL).exists():
            return {}
        resumed = ResumedRun.read(self.folder / part)
        return {key: len(blocks) for key, blocks in resumed.blocks.items()}


def _failed(part: str, why: str) -> Check:
    return Check(part, "every comparison is measured", why, 1, "falls short")


def _noise(v: Validation, launcher: Launcher) -> Iterator[Check]:
    wanted = truths.equal(v.case(truths.MODEL, truths.BATCH), v.effort.noise)
    measured, failed = v.compare(
        "noise", wanted, SlowedLauncher(launcher, wanted), v.effort.protocol
    )
    yield from failed
    yield from judgements.noise(measured)
    yield from judgements.order(measured)
    yield from judgements.watching(measured)


def _slowdowns(v: Validation, launcher: Launcher) -> Iterator[Check]:
    short = v.case(truths.SHORT_MODEL, truths.SHORT_BATCH)
    wanted = truths.slowed(short, v.effort.slowdowns)
    protocol = replace(v.effort.protocol, steps=truths.CLAIMED_STEPS)
    measured, failed = v.compare("slowdowns", wanted, SlowedLauncher(launcher, wanted), protocol)
    yield from failed
    yield from judgements.slowdowns(measured)


def _disturbed(v: Validation, launcher: Launcher) -> Iterator[Check]:
    short = v.case(truths.SHORT_MODEL, truths.SHORT_BATCH)
    wanted = truths.slowed(short, v.effort.disturbed)
    blocks = max(_FEWEST_DISTURBED, v.effort.protocol.blocks)
    protocol = replace(v.effort.protocol, steps=truths.CLAIMED_STEPS, blocks=blocks)
    with DisturbedLauncher(launcher, wanted, v.blocks_done("disturbed")) as busy:
        measured, failed = v.compare("disturbed", wanted, busy, protocol)
    yield from failed
    yield from judgements.disturbed(measured)


def _readings(v: Validation, launcher: Launcher) -> Iterator[Check]:
    yield readings.memory(launcher, v.effort.readings)
    yield from readings.cpu(launcher, v.effort.readings)
    short = v.case(truths.SHORT_MODEL, truths.SHORT_BATCH)
    yield readings.watching(launcher, short, truths.CLAIMED_STEPS, v.effort.blocks)


def _keras(v: Validation, launcher: Launcher) -> Iterator[Check]:
    case = v.case(truths.MODEL, truths.BATCH)
    yield from against_keras.judged(against_keras.blocks(launcher, case, v.effort.blocks))


def _arithmetic(v: Validation, _launcher: Launcher) -> Iterator[Check]:
    yield from arithmetic.simulated(v.effort.simulated)
    for part in ("noise", "slowdowns", "disturbed"):
        if (v.folder / part / run_file.NAME).exists():
            run: Run = run_file.read(v.folder / part)
            yield from arithmetic.of_run(run)
            return


PARTS: dict[str, Callable[[Validation, Launcher], Iterator[Check]]] = {
    "noise": _noise,
    "slowdowns": _slowdowns,
    "disturbed": _disturbed,
    "readings": _readings,
    "keras": _keras,
    "arithmetic": _arithmetic,
}
