"""One block of a group: a fresh worker of every case, and all their rounds.

On the CPU the workers take turns round by round. Where a GPU is used, one worker has ended before
the next begins.
"""

import contextlib
import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.measure import schedule
from harness.measure.machine.cooling import Cooling
from harness.measure.machine.facts import memory_available, oom_kills
from harness.measure.machine.host_state import between
from harness.measure.oom import explained
from harness.measure.side import Setup, Side
from harness.measure.workers.worker_process import WorkerFailed
from harness.records import Block, BlockPlan, Case, Platform, Role, Round, SidePlan, Surroundings

MEMORY_SHARE = 0.6  # of the free memory: what the workers of a block may fill


def is_interleaved(case: Case, reference: Case) -> bool:
    """Whether the workers of a block take turns round by round.

    Not where a GPU is used: two processes that alternate on one GPU disturb each other, and one
    that idles lets its clocks fall.
    """
    return case.device == reference.device == "cpu"


@dataclass(frozen=True, slots=True)
class Member:
    """A comparison of a group, and its next block.

    Attributes:
        index: Number of that block, from 0.
        plan: Of the comparison; None before its first block.
        early_steps: If given, both workers also report their loss after that many steps.
        fit_case: Whether the case times a `fit`.
        fit_reference: Whether the reference does.
    """

    case: Case
    reference: Case
    index: int
    plan: BlockPlan | None = None
    early_steps: int | None = None
    fit_case: bool = True
    fit_reference: bool = True


@dataclass
class Measured:
    """What became of the cases of a block; a comparison of a case without memory has no block.

    Attributes:
        blocks: By case and reference.
        failed: By case.
        slow: Cases whose step is too long for the turns of the others.
        round_seconds: Of all workers.
    """

    blocks: dict[tuple[Case, Case], Block] = field(default_factory=dict)
    failed: dict[Case, WorkerFailed] = field(default_factory=dict)
    slow: set[Case] = field(default_factory=set)
    round_seconds: float = 0.0


@dataclass(eq=False)
class _Worker:
    case: Case
    place: int
    side: Side
    plan: SidePlan | None = None
    rounds: list[Round] = field(default_factory=list)


def cases_of(members: Sequence[Member], *, two_references: bool) -> list[Case]:
    """List the cases of the workers of a block.

    A case that is compared with itself has two workers. So has the case that most others are
    compared with, if there are to be two references: its scatter is in all of these comparisons.
    The second worker starts half a list after the first.
    """
    cases = list(dict.fromkeys(case for m in members for case in (m.reference, m.case)))
    twice = {m.case for m in members if m.case == m.reference}
    if two_references:
        twice.add(_most_compared(members))
    again = [case for case in cases if case in twice]
    middle = (len(cases) + 1) // 2
    return cases[:middle] + again + cases[middle:]


def _most_compared(members: Iterable[Member]) -> Case:
    """Return the case that most others are compared with."""
    ((most, _),) = Counter(m.reference for m in members).most_common(1)
    return most


class BlockRun:
    """Measures one block.

    Args:
        number: Of the block among those of the run, from 0; the order of the starts turns with it.
        members: The comparisons, all interleaved or none.
        setup: What the block is measured with.
        on_round: Called with the case of a round as it ends.
    """

    def __init__(
        self,
        number: int,
        members: Sequence[Member],
        setup: Setup,
        on_round: Callable[[Case, Round], None],
    ) -> None:
        self._number = number
        self._members = members
        self._setup = dataclasses.replace(setup, cooling=Cooling())
        self._on_round = on_round
        early = [m for m in members if m.early_steps]
        # Workers of a case that report early losses: one, but both of a case against itself.
        self._early = Counter({case: 1 for m in early for case in (m.case, m.reference)})
        self._early.update(m.case for m in early if m.case == m.reference)
        self._early_steps = math.lcm(*(m.early_steps or 1 for m in early))  # as many for all
        # Cases that are to time a `fit`.
        self._fitted = {m.reference for m in members if m.fit_reference}
        self._fitted |= {m.case for m in members if m.fit_case}
        self._rated = bool(self._fitted)
        self._interleaved = is_interleaved(members[0].case, members[0].reference)
        self._plans = {
            case: plan
            for m in members
            if m.plan
            for case, plan in ((m.case, m.plan.case), (m.reference, m.plan.reference))
        }
        self._workers: list[_Worker] = []
        self._measured = Measured()
        self._kills: int | None = None

    def measure(self) -> Measured:
        """Measure the block; a worker that fails takes only its own comparisons with it."""
        self._kills, before = oom_kills(), self._setup.read_host_state()
        try:
            (self._in_turns if self._interleaved else self._one_after_the_other)()
        finally:
            for worker in self._workers:
                worker.side.end()
        around = between(self._number, before, self._setup.read_host_state())
        for member in self._members:
            if (block := self._block(member, around)) is not None:
                self._measured.blocks[member.case, member.reference] = block
        return self._measured

    def _order(self) -> list[Case]:
        """The cases in the order of their starts: another one begins in the next block."""
        two = self._interleaved and self._setup.protocol.blocks > 1  # one has no interval
        cases = cases_of(self._members, two_references=two)
        first = self._number % len(cases)
        return cases[first:] + cases[:first]

    def _in_turns(self) -> None:
        free, (one, *_) = MEMORY_SHARE * memory_available(), self._members
        for place, case in enumerate(self._order()):
            if case in (one.case, one.reference) or self._has_room(free):
                self._start(case, place)
        self._plan()
        workers = [(worker, worker.plan) for worker in self._workers if worker.plan]
        for worker, _ in workers:
            worker.side.sampler.begin_rounds()
        most = _most_compared(self._members)
        turns = schedule.turns(
            [plan.rounds for _, plan in workers],
            self._number,
            references=[n for n, (worker, _) in enumerate(workers) if worker.case == most],
        )
        for turn, order in enumerate(turns if workers else ()):
            for position, index in enumerate(order):
                worker, plan = workers[index]
                self._round(worker, turn, position, plan.steps)
        rated = set[Platform]()
        for worker in list(self._workers):
            with self._failure_of(worker):
                worker.side.end_rounds()
        for worker in list(self._workers):
            with self._failure_of(worker):
                self._after_rounds(worker, rated)

    def _one_after_the_other(self) -> None:
        rated = set[Platform]()
        for place, case in enumerate(self._order()):
            worker = self._start(case, place)
            if worker is None:
                continue
            with self._failure_of(worker):
                plan = worker.plan = self._plans.get(case) or schedule.plan_alone(
                    worker.side.step_seconds, case, self._setup.protocol
                )
                worker.side.sampler.begin_rounds()
                for number in range(plan.rounds):
                    self._round(worker, number, place, plan.steps)
                worker.side.end_rounds()
                self._after_rounds(worker, rated)
                worker.side.end()

    def _has_room(self, free: float) -> bool:
        """Whether one more worker fits beside those that run, if it is as large as the largest."""
        sizes = [worker.side.sampler.own_bytes() for worker in self._workers]
        return sum(sizes) + max(sizes, default=0) < free

    def _start(self, case: Case, place: int) -> _Worker | None:
        """Start a worker and warm it up; None if its case failed or is too slow for the others."""
        if case in self._measured.failed or case in self._measured.slow:
            return None
        try:
            worker = _Worker(case, place, Side.start(case, self._setup))
        except WorkerFailed as error:
            self._measured.failed[case] = explained(error, self._kills, None)
            self._drop(case)
            return None
        self._workers.append(worker)
        with self._failure_of(worker):
            # Where losses are compared, all workers of a block start from the same weights, and
            # blocks differ.
            seed = self._members[0].index if self._early else 0
            early = sum(one.case == case for one in self._workers) <= self._early[case]
            worker.side.open(early_steps=self._early_steps if early else None, seed=seed)
            worker.side.warm_up()
            if not self._is_slow(worker):
                return worker
            self._measured.slow.add(case)
            self._drop(case)
        return None

    def _is_slow(self, worker: _Worker) -> bool:
        several = self._interleaved and len(self._members) > 1
        return several and worker.side.step_seconds > schedule.LONGEST_STEP

    def _plan(self) -> None:
        """Plan the rounds of each worker; the case that most are compared with sets the turns."""
        protocol = self._setup.protocol
        steps: dict[Case, list[float]] = {}
        for worker in self._workers:
            steps.setdefault(worker.case, []).append(worker.side.step_seconds)
        seconds = {case: sum(found) / len(found) for case, found in steps.items()}
        references = Counter(m.reference for m in self._members if m.reference in seconds)
        if not references:
            return
        ((most, _),) = references.most_common(1)
        by_fit = {
            case
            for m in self._members
            if m.case.feed != m.reference.feed
            for case in (m.case, m.reference)
        }
        plan = self._plans.get(most) or schedule.plan_reference(
            seconds[most], most, protocol, by_fit=most in by_fit
        )
        for worker in self._workers:
            case = worker.case
            worker.plan = self._plans.get(case) or (
                plan
                if case == most
                else schedule.plan_case(
                    seconds[case], case, plan.rounds, protocol, by_fit=case in by_fit
                )
            )

    def _round(self, worker: _Worker, turn: int, position: int, steps: int) -> None:
        if worker not in self._workers:  # it has failed
            return
        with self._failure_of(worker):
            index = self._members[0].index
            worker.rounds.append(worker.side.round(index, turn, position, steps))
            self._measured.round_seconds += worker.rounds[-1].seconds
            self._on_round(worker.case, worker.rounds[-1])

    def _after_rounds(self, worker: _Worker, rated: set[Platform]) -> None:
        """Find the rates of each platform once, and time `fit` once per case.

        A block that times no `fit` finds no rates: earlier blocks did.
        """
        if self._rated and (worker.case.platform not in rated or worker.case.replicas > 1):
            rated.add(worker.case.platform)
            worker.side.find_rates()
        if worker.case in self._fitted and worker.plan is not None and worker.plan.fit_steps:
            self._fitted.remove(worker.case)
            worker.side.fit(worker.plan.fit_steps)

    @contextlib.contextmanager
    def _failure_of(self, worker: _Worker) -> Iterator[None]:
        """Keep the failure of a worker, so that the others go on."""
        try:
            yield
        except WorkerFailed as error:
            known = explained(error, self._kills, worker.side.sampler.last_rss_bytes)
            self._measured.failed[worker.case] = known
            self._drop(worker.case)

    def _drop(self, case: Case) -> None:
        for worker in [worker for worker in self._workers if worker.case == case]:
            self._workers.remove(worker)
            worker.side.end()

    def _block(self, member: Member, around: Surroundings) -> Block | None:
        """Put together what is observed of one comparison."""
        roles = self._roles(member)
        plans = {role: worker.plan for role, worker in roles.items()}
        case, reference = plans.get("case"), plans.get("reference")
        if case is None or reference is None:
            return None
        rounds = [
            dataclasses.replace(a_round, block=member.index, role=role)
            for role, worker in roles.items()
            for a_round in worker.rounds
        ]
        starts = [
            dataclasses.replace(
                worker.side.start_record(member.index),
                role=role,
                group_block=self._number,
                place=worker.place,
                workers=len(self._workers) if self._interleaved else 1,
            )
            for role, worker in roles.items()
        ]
        return Block(
            plan=BlockPlan(case=case, reference=reference),
            rounds=tuple(sorted(rounds, key=self._moment)),
            starts=tuple(starts),
            facts={role: roles[role].side.facts for role in ("case", "reference")},
            surroundings=dataclasses.replace(around, block=member.index),
        )

    def _roles(self, member: Member) -> dict[Role, _Worker]:
        """The workers of a comparison; the first of a case is the one that timed `fit`."""
        mine = [worker for worker in self._workers if worker.case == member.case]
        others = [worker for worker in self._workers if worker.case == member.reference]
        roles: dict[Role, _Worker] = {}
        if mine:
            roles["case"] = mine[0]
        others = [worker for worker in others if worker not in mine[:1]]
        roles |= dict(zip(("reference", "second"), others, strict=False))
        return roles

    def _moment(self, a_round: Round) -> tuple[int, int]:
        """Order rounds as they ran."""
        turn, place = a_round.pair, a_round.position
        return (turn, place) if self._interleaved else (place, turn)
