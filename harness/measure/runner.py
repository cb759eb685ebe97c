"""Measure the comparisons of a run in order and keep each outcome on disk."""

import dataclasses
import datetime
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol as Interface
from typing import Self, TypeVar

from harness.measure import profiling
from harness.measure.block import is_interleaved
from harness.measure.budget import Budget
from harness.measure.group import NO_WISH, Comparison, Group, Wish
from harness.measure.search import search
from harness.measure.side import Setup
from harness.measure.training import train_together
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import (
    Block,
    Case,
    Epoch,
    Failure,
    Machine,
    Outcome,
    Profile,
    Recipe,
    Round,
    Run,
    Search,
    Training,
    TriedSize,
    Version,
    comparison_key,
    run_file,
    to_json,
)
from harness.records import journal as journals
from harness.records.journal import Journal
from harness.records.resume import Record, ResumedRun, kind_of

R = TypeVar("R", bound=Record)
LOG = "failures.log"


class Observer(Interface):
    """Is called as a run goes on, to show progress."""

    def on_group(self, comparisons: Sequence[Comparison], blocks: int) -> None:
        """Comparisons that are measured together begin."""

    def on_round(self, case: Case, a_round: Round) -> None:
        """A round has ended."""

    def on_block(self, run: Run) -> None:
        """A block has ended; the run holds all that was measured so far."""

    def on_outcome(self, outcome: Outcome, log: Path | None) -> None:
        """A comparison has ended; `log` holds what a failed worker printed."""

    def on_group_end(self) -> None:
        """The comparisons that are measured together have ended, or an interrupt ended them."""

    def on_known_outcome(self, outcome: Outcome) -> None:
        """This run has already measured the next comparison."""

    def on_epoch(self, recipe: Recipe, epoch: Epoch) -> None:
        """An epoch of a full training has ended."""

    def on_size(self, case: Case, size: TriedSize) -> None:
        """A search has tried a batch size."""


@dataclass(eq=False)
class Runner:
    """Measures each comparison once and keeps what it measured on disk; made by `Runner.open`.

    The budget drops blocks and rounds to stay under a time limit.
    """

    folder: Path
    _setup: Setup
    _machine: Machine
    _observer: Observer
    _budget: Budget
    _target_accuracy: float | None
    _resumed: ResumedRun
    _journal: Journal
    _failed_trainings: dict[str, Failure] = field(default_factory=dict, init=False)
    _seed_seconds: dict[frozenset[Case], float] = field(default_factory=dict, init=False)
    _lines: dict[str, tuple[Outcome, str]] = field(default_factory=dict, init=False)
    _begin: float = field(default_factory=time.perf_counter, init=False)
    _group: Group | None = field(default=None, init=False)
    _ended: set[str] = field(default_factory=set, init=False)  # keys of what was measured here
    _block_numbers: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        """Number blocks from the last one of a resumed run."""
        self._block_numbers = itertools.count(1 + self._resumed.last_group_block)

    @classmethod
    def open(
        cls,
        folder: Path,
        setup: Setup,
        machine: Machine,
        observer: Observer,
        budget: Budget,
        *,
        target_accuracy: float | None = None,
        command: str | None = None,
        version: Version | None = None,
    ) -> Self:
        """Begin a run, or resume the one that the folder holds, which keeps its own command.

        Raises:
            BadRun: the run cannot be resumed, or its folder cannot be written.
        """
        resumed = ResumedRun.read(folder) if (folder / journals.NAME).exists() else ResumedRun()
        resumed.check(folder, setup.protocol, machine, version)
        resumed.version = version
        if known := resumed.protocol:
            timeout = setup.protocol.timeout_seconds
            protocol = dataclasses.replace(known, timeout_seconds=timeout)
            setup = dataclasses.replace(setup, protocol=protocol)
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        resumed.started_at = resumed.started_at or now
        resumed.command = resumed.command or command
        journal = Journal.open(folder)
        if resumed.protocol is None:
            journal.write(
                "run",
                schema=journals.SCHEMA,
                started_at=resumed.started_at,
                protocol=to_json(setup.protocol),
                machine=to_json(machine),
                command=command,
                version=version and to_json(version),
            )
        return cls(folder, setup, machine, observer, budget, target_accuracy, resumed, journal)

    def run(self) -> Run:
        """Return all that was measured so far, the blocks of an unfinished group among them."""
        records = self._resumed.records
        outcomes = {**self._resumed.failures, **records["outcome"]}
        for measurement in self._group.partial() if self._group else ():
            outcomes.setdefault(measurement.key, measurement)
        trainings = tuple(records["training"].values())
        failed = self._failed_trainings.values()
        return Run(
            id=self.folder.name,
            started_at=self._resumed.started_at or "",
            machine=self._machine,
            protocol=self._setup.protocol,
            outcomes=(*outcomes.values(), *failed),
            wall_seconds=self._wall_seconds(),
            trainings=trainings,
            ladders=tuple(records["ladder"].values()),
            target_accuracy=self._target_accuracy if trainings or failed else None,
            searches=tuple(records["search"].values()),
            command=self._resumed.command,
            tunings=tuple(records["tuning"].values()),
            version=self._resumed.version,
            profiles=tuple(records["profile"].values()),
        )

    def keep(self, record: Record) -> None:
        """Keep a record in the run and in its journal; it replaces the one of its key."""
        kind = kind_of(type(record))
        records = self._resumed.records[kind]
        if records.get(record.key) != record:
            records[record.key] = record
            self._journal.write(kind, **{kind: to_json(record)}, wall_seconds=self._wall_seconds())

    def kept(self, kind: type[R], key: str) -> R | None:
        """Return the record of that type and key, if this run has one."""
        record: R | None = self._resumed.records[kind_of(kind)].get(key)
        return record

    @property
    def damaged(self) -> list[int]:
        """Numbers of unreadable lines in the journal of a resumed run."""
        return self._resumed.damaged

    def _wall_seconds(self) -> float:
        return self._resumed.wall_seconds + time.perf_counter() - self._begin

    def measure(self, case: Case, reference: Case, wish: Wish = NO_WISH) -> Outcome:
        """Measure a case against its reference, unless this run already has.

        A worker's failure is returned as a `Failure`.
        """
        if self.known(case, reference) is None:
            self.measure_group({(case, reference): wish})
        found = self.known(case, reference)
        assert found is not None
        return found

    def known(self, case: Case, reference: Case) -> Outcome | None:
        """Return the outcome of a comparison, if this run has it."""
        records = self._resumed.records["outcome"]
        found: Outcome | None = records.get(comparison_key(case, reference))
        return found

    def show_known(self, outcome: Outcome) -> None:
        """Say that this run had measured a comparison before."""
        if outcome.key not in self._ended:  # those of a group were counted with it
            self._budget.next_comparison()
        self._observer.on_known_outcome(outcome)

    def measure_group(self, comparisons: Mapping[Comparison, Wish]) -> None:
        """Measure comparisons together, those that this run does not have.

        Each outcome is kept as soon as its last block is done.
        """
        missing = [one for one in comparisons if self.known(*one) is None]
        for interleaved in (True, False):
            its = [one for one in missing if is_interleaved(*one) == interleaved]
            if its:
                self._measure_group({one: comparisons[one] for one in its})

    def _measure_group(self, comparisons: Mapping[Comparison, Wish]) -> None:
        for _ in comparisons:
            self._budget.next_comparison()
        self._observer.on_group(list(comparisons), self._setup.protocol.blocks)
        known = self._resumed.blocks

        def on_round(case: Case, a_round: Round) -> None:
            self._journal.write("round", key=case.id, round=to_json(a_round))
            self._observer.on_round(case, a_round)

        def on_block(blocks: Mapping[Comparison, Block]) -> None:
            for one, block in blocks.items():
                self._journal.write("block", key=comparison_key(*one), block=to_json(block))
            self._observer.on_block(self.run())

        self._group = Group(
            comparisons,
            self._setup,
            self._budget,
            lambda: next(self._block_numbers),
            on_round,
            on_block,
            self._end,
            {one: known.get(comparison_key(*one), []) for one in comparisons},
        )
        try:
            self._group.measure()
        finally:
            self._observer.on_group_end()

    def refuse(self, case: Case, reference: Case, error: WorkerFailed) -> None:
        """Keep the failure of a comparison whose model failed in its trial."""
        self._budget.next_comparison()
        self._end(error.failure_of(case, reference))

    def _end(self, outcome: Outcome) -> None:
        self._ended.add(outcome.key)
        self.keep(outcome)
        self.save()
        self._observer.on_outcome(outcome, self._log(outcome))

    def _log(self, outcome: Outcome) -> Path | None:
        """Append what a failed worker printed to the log of the run; return the log's path."""
        if not isinstance(outcome, Failure) or not outcome.log_tail:
            return None
        path = self.folder / LOG
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"== {outcome.case.id}: {outcome.kind}: {outcome.message}\n")
                file.write(f"{outcome.log_tail}\n")
        except OSError as error:
            raise journals.unwritable(self.folder, error.strerror) from error
        return path

    def search(
        self, case: Case, samples: int, memory_bytes: int | None, *, fixed: bool = False
    ) -> Search:
        """Search for batch sizes, unless this run already has; see `search.search`."""
        found = self.kept(Search, case.id)
        if found is None:
            on_size = self._observer.on_size
            found = search(case, samples, memory_bytes, self._setup, on_size, fixed=fixed)
            self.keep(found)
        return found

    def profile(self, case: Case, workers: int, memory_bytes: int | None = None) -> Profile:
        """Profile a case, unless this run already has; see `profiling.profile`.

        Raises:
            WorkerFailed: the case cannot be trained or traced.
        """
        found = self.kept(Profile, case.id)
        if found is None:
            found = profiling.profile(case, self._setup, self.folder, workers, memory_bytes)
            self.keep(found)
            self.save()
        return found

    def train(self, recipes: Sequence[Recipe]) -> list[Training | Failure]:
        """Train recipes in full, in turns, except those that this run already has.

        A worker's failure is returned as a `Failure`. If another seed would exceed the time
        limit, nothing is trained and the list is empty.
        """
        begin = time.perf_counter()
        seedless = frozenset(dataclasses.replace(recipe.case, seed=0) for recipe in recipes)
        if not self._budget.allows(self._seed_seconds.get(seedless, 0.0)):
            return []
        missing = [recipe for recipe in recipes if self._trained(recipe) is None]
        complete = len(missing) == len(recipes)

        def on_epoch(recipe: Recipe, epoch: Epoch) -> None:
            self._journal.write("epoch", key=recipe.key, epoch=to_json(epoch))
            self._observer.on_epoch(recipe, epoch)

        def on_end(recipe: Recipe, end: Training | Failure) -> None:
            if isinstance(end, Training):
                self.keep(end)
            else:  # not in the journal: a resumed run tries again
                self._failed_trainings[recipe.key] = end
                self._log(end)
            self.save()

        train_together(missing, self._setup, on_epoch, on_end, complete=complete)
        self._seed_seconds[seedless] = time.perf_counter() - begin
        return [end for recipe in recipes if (end := self._trained(recipe)) is not None]

    def _trained(self, recipe: Recipe) -> Training | Failure | None:
        return self.kept(Training, recipe.key) or self._failed_trainings.get(recipe.key)

    def save(self) -> Run:
        """Write `run.json` in one move and return the run.

        Raises:
            BadRun: the file cannot be written.
        """
        run = self.run()
        run_file.write(self.folder, run, map(self._line, run.outcomes))
        return run

    def _line(self, outcome: Outcome) -> str:
        """Return the line of an outcome; made once, though `save` is called often."""
        known = self._lines.get(outcome.key)
        if known is None or known[0] is not outcome:
            known = self._lines[outcome.key] = (outcome, run_file.line(outcome))
        return known[1]

    def end(self) -> None:
        """Note in the journal that everything was tried that the command asks for."""
        self._journal.write(journals.END, wall_seconds=self._wall_seconds())

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()
