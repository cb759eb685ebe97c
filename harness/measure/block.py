"""One block: a pair of fresh workers, each warmed up, and all their rounds.

On the CPU the two take turns round by round; where a GPU is used, one has ended before the other
begins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.measure.machine.facts import oom_kills
from harness.measure.machine.host_state import between
from harness.measure.oom import explained
from harness.measure.schedule import ROLES, plan_alone, plan_turns, turns
from harness.measure.side import Setup, Side
from harness.measure.worker_process import WorkerFailed
from harness.records import Block, BlockPlan, Case, Role, Round, SidePlan


def is_interleaved(cases: Mapping[Role, Case]) -> bool:
    """Whether the workers of a block take turns round by round.

    Not where a GPU is used: two processes that alternate on one GPU disturb each other, and one
    that idles lets its clocks fall.
    """
    return all(case.device == "cpu" for case in cases.values())


@dataclass
class BlockRun:
    """Measures one block; the first block of a comparison also makes the plan.

    Attributes:
        index: Number of the block, from 0: the reference starts first in even ones.
        plan: Of the comparison; None in its first block.
        early_steps: If given, each worker also reports its loss after that many steps. Both
            sides of a block start from the same weights; blocks differ.
    """

    index: int
    cases: Mapping[Role, Case]
    setup: Setup
    plan: BlockPlan | None
    on_round: Callable[[Round], None]
    early_steps: int | None = None
    _sides: dict[Role, Side] = field(default_factory=dict, init=False)
    _rounds: list[Round] = field(default_factory=list, init=False)

    def measure(self) -> Block:
        """Measure the block.

        Raises:
            WorkerFailed: one of the workers did.
        """
        order = ROLES if self.index % 2 == 0 else ROLES[::-1]
        kills, before = oom_kills(), self.setup.read_host_state()
        measured = self._in_turns if is_interleaved(self.cases) else self._one_after_the_other
        try:
            plan = measured(order)
        except WorkerFailed as error:
            raise self._explained(error, kills) from error
        finally:
            for side in self._sides.values():
                side.end()
        return Block(
            plan,
            rounds=tuple(self._rounds),
            starts=tuple(self._sides[role].start_record(self.index) for role in order),
            facts={role: self._sides[role].facts for role in ROLES},
            surroundings=between(self.index, before, self.setup.read_host_state()),
        )

    def _in_turns(self, order: Sequence[Role]) -> BlockPlan:
        for role in order:
            self._started(role)
        sides = self._sides
        step_seconds = {role: side.step_seconds for role, side in sides.items()}
        plan = self.plan or plan_turns(step_seconds, self.cases, self.setup.protocol)
        for side in sides.values():
            side.sampler.begin_rounds()
        for pair, roles in turns(plan.case.rounds, self.index):
            for position, role in enumerate(roles):
                self._round(sides[role], pair, position, plan.of(role).steps)
        for side in sides.values():
            side.end_rounds()
        sides["case"].find_rates()
        for role in order:
            if plan.of(role).fit_steps:
                sides[role].fit(plan.of(role).fit_steps)
        return plan

    def _one_after_the_other(self, order: Sequence[Role]) -> BlockPlan:
        plans: dict[Role, SidePlan] = {}
        for position, role in enumerate(order):
            side = self._started(role)
            if self.plan:
                plan = self.plan.of(role)
            else:
                plan = plan_alone(side.step_seconds, self.cases[role], self.setup.protocol)
            plans[role] = plan
            side.sampler.begin_rounds()
            for number in range(plan.rounds):
                self._round(side, number, position, plan.steps)
            side.end_rounds()
            side.find_rates()
            if plan.fit_steps:
                side.fit(plan.fit_steps)
            side.end()
        return BlockPlan(**plans)

    def _started(self, role: Role) -> Side:
        side = self._sides[role] = Side.start(role, self.cases[role], self.setup)
        side.open(early_steps=self.early_steps, seed=self.index if self.early_steps else 0)
        side.warm_up()
        return side

    def _round(self, side: Side, pair: int, position: int, steps: int) -> None:
        self._rounds.append(side.round(self.index, pair, position, steps))
        self.on_round(self._rounds[-1])

    def _explained(self, error: WorkerFailed, kills: int | None) -> WorkerFailed:
        """Say which side failed, and whether memory ran out."""
        role = next((role for role, side in self._sides.items() if side.failed), None)
        known = explained(error, kills, self._sides[role].sampler.last_rss_bytes if role else None)
        message, reference = str(known), self.cases["reference"]
        if role == "reference" and self.cases["case"] != reference:
            message = f"the reference {reference.id} failed: {message}"
        return WorkerFailed(known.kind, message, error.log_tail)
