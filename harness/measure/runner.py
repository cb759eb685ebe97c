"""Measure comparisons in order: journal, resume, one outcome each."""

import dataclasses
import datetime
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol as Interface

from harness.measure.block import Block, is_interleaved, run_block
from harness.measure.budget import Budget
from harness.measure.launcher import WorkerFailed
from harness.measure.machine.facts import usable_cpus
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.host_state import Moment, look
from harness.measure.resume import Earlier
from harness.measure.search import search
from harness.measure.side import AnyLauncher
from harness.measure.training import train_together
from harness.records import (
    Case,
    Epoch,
    Failure,
    Ladder,
    Machine,
    Measurement,
    Outcome,
    Probe,
    Protocol,
    Recipe,
    Role,
    Round,
    Run,
    Search,
    Training,
    Tuning,
    comparison_key,
    run_file,
    to_json,
)
from harness.records import journal as journals
from harness.records.journal import Journal

_SAME_LOSS = 1e-6  # relative: the same arithmetic


class Observer(Interface):
    """Told how a run goes on; shows it or not."""

    def comparison(self, case: Case, reference: Case, blocks: int) -> None:
        """A comparison begins."""

    def round(self, case: Case, a_round: Round) -> None:
        """A round has ended."""

    def outcome(self, outcome: Outcome) -> None:
        """A comparison has ended."""

    def known(self, outcome: Outcome) -> None:
        """A comparison was asked for that this run has already measured."""

    def epoch(self, recipe: Recipe, epoch: Epoch) -> None:
        """An epoch of a training in full has ended."""

    def probe(self, case: Case, probe: Probe) -> None:
        """A search has tried a batch size."""


class Runner:
    """Measures each comparison once and keeps what it measured on disk.

    Args:
        folder: The run's folder; an existing one is gone on with.
        protocol: How to measure. A resumed run must have the same.
        machine: Where.
        launcher: Starts the workers.
        observer: Told how it goes.
        gpu: From `gpu.open_gpu()`.
        budget: Drops blocks to stay under a time limit.
        target_accuracy: What trainings in full are timed to.
        command: What was typed; that of a run that is gone on with stays.
        look: Says how the machine is at a moment; called around each block.
    """

    def __init__(
        self,
        folder: Path,
        protocol: Protocol,
        machine: Machine,
        launcher: AnyLauncher,
        observer: Observer,
        gpu: AnyGpu,
        budget: Budget,
        target_accuracy: float | None = None,
        command: str | None = None,
        look: Callable[[], Moment] = look,
    ) -> None:
        self._look = look
        self.folder = folder
        self._protocol = protocol
        self._launcher = launcher
        self._observer = observer
        self._gpu = gpu
        self._budget = budget
        self._target_accuracy = target_accuracy
        self._seed_seconds: dict[frozenset[Case], float] = {}
        self._begin = time.perf_counter()
        self._cpus = usable_cpus()
        earlier = Earlier.read(folder) if (folder / journals.NAME).exists() else Earlier()
        earlier.check(folder, protocol, machine)
        self._earlier = earlier
        self._outcomes: dict[str, Outcome] = dict(earlier.measurements)
        self._trainings: dict[str, Training | Failure] = dict(earlier.trainings)
        self._ladders: dict[str, Ladder] = dict(earlier.ladders)
        self._searches: dict[str, Search] = dict(earlier.searches)
        self._tunings: dict[str, Tuning] = dict(earlier.tunings)
        self._lines: dict[str, tuple[Outcome, str]] = {}
        self._started_at = earlier.started_at or _now()
        self._machine = machine
        self._command = earlier.command or command
        self._journal = Journal(folder)
        if earlier.protocol is None:
            self._journal.write(
                "run",
                schema=journals.SCHEMA,
                started_at=self._started_at,
                protocol=to_json(protocol),
                machine=to_json(machine),
                command=command,
            )

    def run(self) -> Run:
        """Return all outcomes so far as a run."""
        failed = [end for end in self._trainings.values() if isinstance(end, Failure)]
        return Run(
            id=self.folder.name,
            started_at=self._started_at,
            machine=self._machine,
            protocol=self._protocol,
            # A failure of before that was not tried again is still one.
            outcomes=(*{**self._earlier.failures, **self._outcomes}.values(), *failed),
            wall_seconds=self._wall_seconds(),
            trainings=tuple(t for t in self._trainings.values() if isinstance(t, Training)),
            ladders=tuple(self._ladders.values()),
            target_accuracy=self._target_accuracy if self._trainings else None,
            searches=tuple(self._searches.values()),
            command=self._command,
            tunings=tuple(self._tunings.values()),
        )

    @property
    def damaged(self) -> list[int]:
        """Numbers of the journal's lines that are left out of a run that is gone on with."""
        return self._earlier.damaged

    def _wall_seconds(self) -> float:
        return self._earlier.wall_seconds + time.perf_counter() - self._begin

    def measure(self, case: Case, reference: Case, early_steps: int | None = None) -> Outcome:
        """Measure a case against its reference, unless this run already has.

        A worker's failure is returned as a `Failure`. See `block.run_block` for `early_steps`.
        """
        key = comparison_key(case, reference)
        self._budget.next_comparison()
        if key in self._outcomes:
            self._observer.known(self._outcomes[key])
        else:
            self._observer.comparison(case, reference, self._protocol.blocks)
            self._keep(self._measure(case, reference, early_steps))
        return self._outcomes[key]

    def refuse(self, case: Case, reference: Case, error: WorkerFailed) -> Failure:
        """Keep a comparison that is not begun, since a trial of its model has failed."""
        failure = Failure(case, reference, error.kind, str(error), error.log_tail)
        self._budget.next_comparison()
        self._keep(failure)
        return failure

    def _keep(self, outcome: Outcome) -> None:
        self._outcomes[outcome.key] = outcome
        self._journal.write("outcome", outcome=to_json(outcome), wall_seconds=self._wall_seconds())
        self.save()
        self._observer.outcome(outcome)

    def search(self, case: Case, samples: int, memory_bytes: int | None) -> Search:
        """Search for batch sizes, unless this run already has; see `search.search`."""
        known = self._searches.get(case.id)
        if known is not None:
            return known
        found = self._searches[case.id] = search(
            case,
            samples=samples,
            memory_bytes=memory_bytes,
            launcher=self._launcher,
            protocol=self._protocol,
            gpu=self._gpu,
            cpus=self._cpus,
            on_probe=self._observer.probe,
        )
        self._journal.write("search", search=to_json(found))
        return found

    def _measure(self, case: Case, reference: Case, early_steps: int | None) -> Outcome:
        key = comparison_key(case, reference)
        begin = time.perf_counter()
        sides: dict[Role, Case] = {"case": case, "reference": reference}
        blocks = list(self._earlier.blocks.get(key, []))

        def on_round(a_round: Round) -> None:
            self._journal.write("round", key=key, round=to_json(a_round))
            self._observer.round(sides[a_round.role], a_round)

        try:
            for side in sides.values():  # else the first block would seem too long to the budget
                self._launcher.prepare(side, wait=True)
            wanted, known = self._protocol.blocks, len(blocks)
            while len(blocks) < wanted:
                plan = blocks[0].plan if blocks else None
                block_begin = time.perf_counter()
                block = run_block(
                    len(blocks),
                    sides,
                    self._protocol,
                    self._launcher,
                    self._gpu,
                    plan,
                    on_round,
                    self._cpus,
                    self._look,
                    None if blocks and _learn_alike(blocks[-1]) else early_steps,
                )
                self._journal.write("block", key=key, block=to_json(block))
                blocks.append(block)
                if len(blocks) == known + 1:
                    left = self._budget.blocks(wanted - known, time.perf_counter() - block_begin)
                    wanted = known + left
        except WorkerFailed as error:
            return Failure(case, reference, error.kind, str(error), error.log_tail)
        first = blocks[0]
        return Measurement(
            case=case,
            reference=reference,
            facts=first.facts["case"],
            reference_facts=first.facts["reference"],
            steps=first.plan.case.steps,
            reference_steps=first.plan.reference.steps,
            pairs=first.plan.case.rounds,
            rounds=tuple(a_round for block in blocks for a_round in block.rounds),
            starts=tuple(start for block in blocks for start in block.starts),
            wall_seconds=time.perf_counter() - begin,
            interleaved=is_interleaved(sides),
            surroundings=tuple(b.surroundings for b in blocks if b.surroundings is not None),
        )

    def train(self, recipes: Sequence[Recipe]) -> list[Training | Failure]:
        """Train recipes in full, in turns, but for those that this run already has.

        A worker's failure is returned as a `Failure`. Nothing is trained, and
        nothing returned, when the time limit leaves no room for another seed.
        """
        begin = time.perf_counter()
        seedless = frozenset(dataclasses.replace(recipe.case, seed=0) for recipe in recipes)
        if not self._budget.allows(self._seed_seconds.get(seedless, 0.0)):
            return []
        missing = [recipe for recipe in recipes if recipe.key not in self._trainings]

        def on_epoch(recipe: Recipe, epoch: Epoch) -> None:
            self._journal.write("epoch", key=recipe.key, epoch=to_json(epoch))
            self._observer.epoch(recipe, epoch)

        def on_end(recipe: Recipe, end: Training | Failure) -> None:
            self._trainings[recipe.key] = end
            if isinstance(end, Training):  # one that failed is tried again
                self._journal.write(
                    "training", training=to_json(end), wall_seconds=self._wall_seconds()
                )
            self.save()

        train_together(
            missing,
            self._launcher,
            self._protocol.timeout_seconds,
            self._cpus,
            on_epoch,
            on_end,
            self._look,
            complete=len(missing) == len(recipes),
        )
        self._seed_seconds[seedless] = time.perf_counter() - begin
        return [self._trainings[recipe.key] for recipe in recipes]

    def note(self, ladder: Ladder) -> None:
        """Keep which comparisons make a ladder."""
        if self._ladders.get(ladder.key) != ladder:
            self._ladders[ladder.key] = ladder
            self._journal.write("ladder", ladder=to_json(ladder))

    def tuning(self, plain: Case) -> Tuning:
        """What was tried so far to make a case faster."""
        return self._tunings.get(plain.id, Tuning(plain))

    def note_tuning(self, tuning: Tuning) -> None:
        """Keep what was tried to make a case faster."""
        if self._tunings.get(tuning.key) != tuning:
            self._tunings[tuning.key] = tuning
            self._journal.write("tuning", tuning=to_json(tuning))

    def save(self) -> Run:
        """Write `run.json` in one move and return the run.

        Raises:
            BadRun: it cannot be written.
        """
        run = self.run()
        run_file.write(self.folder, run, map(self._line, run.outcomes))
        return run

    def _line(self, outcome: Outcome) -> str:
        """Write an outcome for the file, once: it is saved again with each that follows."""
        known = self._lines.get(outcome.key)
        if known is None or known[0] is not outcome:
            known = self._lines[outcome.key] = (outcome, run_file.line(outcome))
        return known[1]

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _learn_alike(block: Block) -> bool:
    """Whether both sides had the same losses, or none was asked for: then no other block is."""
    here, there = (start.early_loss for start in block.starts)
    return here is None or there is None or math.isclose(here, there, rel_tol=_SAME_LOSS)


def new_run_folder(results: Path, kind: str = "runs") -> Path:
    """Make the folder of a new run; its name is its start, so that runs sort by time.

    Args:
        results: The folder of results.
        kind: The folder in it that holds such runs.

    Raises:
        BadRun: it cannot be made.
    """
    name = f"{datetime.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    number = 1
    while True:
        folder = results / kind / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise journals.unwritable(folder, error.strerror) from error
        else:
            return folder


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
