"""One block: a pair of fresh workers, each warmed up, and all their rounds.

On the CPU the two take turns round by round; where a GPU is used, one has
ended before the other begins.
"""

from collections.abc import Callable, Mapping

from harness.measure.launcher import WorkerFailed
from harness.measure.machine.facts import oom_kills
from harness.measure.machine.gpu import AnyGpu
from harness.measure.machine.host_state import Moment, between
from harness.measure.oom import explained
from harness.measure.schedule import ROLES, plan_alone, plan_turns
from harness.measure.side import AnyLauncher, Seat
from harness.records import Block, BlockPlan, Case, Protocol, Role, Round, SidePlan
from harness.worker import warm_up


def is_interleaved(sides: Mapping[Role, Case]) -> bool:
    """Whether the workers of a block take turns round by round.

    Not where a GPU is used: two processes that alternate on one GPU disturb
    each other, and one that idles lets its clocks fall.
    """
    return all(case.device == "cpu" for case in sides.values())


def run_block(
    index: int,
    sides: dict[Role, Case],
    protocol: Protocol,
    launcher: AnyLauncher,
    gpu: AnyGpu,
    plan: BlockPlan | None,
    on_round: Callable[[Round], None],
    cpus: list[int],
    look: Callable[[], Moment],
    early_steps: int | None = None,
) -> Block:
    """Measure one block; the first of a comparison also makes its plan.

    With `early_steps` each worker also reports the loss after that many, from weights that are
    those of both sides of this block alone.

    Raises:
        WorkerFailed: one of the workers did.
    """
    order = ROLES if index % 2 == 0 else ROLES[::-1]
    seats: dict[Role, Seat] = {}
    rounds: list[Round] = []
    oom_before, before = oom_kills(), look()

    def sit_down(role: Role) -> Seat:
        seats[role] = Seat(role, sides[role], launcher, gpu, protocol)
        seats[role].open(cpus, early_steps=early_steps, seed=index if early_steps else 0)
        seats[role].warm_up()
        return seats[role]

    def run_round(seat: Seat, pair: int, position: int, steps: int) -> None:
        rounds.append(seat.round(index, pair, position, steps))
        on_round(rounds[-1])

    def take_turns() -> BlockPlan:
        for role in order:
            sit_down(role)
        now = plan or plan_turns(
            {role: seats[role].step_seconds for role in ROLES}, sides, protocol
        )
        for seat in seats.values():
            seat.begin_rounds()
        for pair, roles in warm_up.schedule(now.case.rounds, index):
            for position, role in enumerate(roles):
                run_round(seats[role], pair, position, now.of(role).steps)
        for seat in seats.values():
            seat.end_rounds()
        seats["case"].find_rates()
        for role in order:
            if now.of(role).fit_steps:
                seats[role].fit(now.of(role).fit_steps)
        return now

    def one_after_the_other() -> BlockPlan:
        shares: dict[Role, SidePlan] = {role: plan.of(role) for role in ROLES} if plan else {}
        for position, role in enumerate(order):
            seat = sit_down(role)
            share = shares.setdefault(role, plan_alone(seat.step_seconds, sides[role], protocol))
            seat.begin_rounds()
            for number in range(share.rounds):
                run_round(seat, number, position, share.steps)
            seat.end_rounds()
            seat.find_rates()
            if share.fit_steps:
                seat.fit(share.fit_steps)
            seat.leave()
        return BlockPlan(**shares)

    try:
        plan = take_turns() if is_interleaved(sides) else one_after_the_other()
    except WorkerFailed as error:
        raise _explained(error, sides, seats, oom_before) from error
    finally:
        for seat in seats.values():
            seat.leave()
    starts = tuple(seats[role].start(index) for role in order)
    facts = {role: seats[role].facts for role in ROLES}
    return Block(plan, tuple(rounds), starts, facts, between(index, before, look()))


def _explained(
    error: WorkerFailed,
    sides: dict[Role, Case],
    seats: dict[Role, Seat],
    oom_before: int | None,
) -> WorkerFailed:
    """Say which side failed, and tell the kernel's end for memory from somebody else's."""
    role, seat = next(((r, s) for r, s in seats.items() if s.failed), (None, None))
    last_rss = None if seat is None else seat.sampler.last_rss_bytes
    known = explained(error, oom_before, last_rss)
    kind, message = known.kind, str(known)
    if role == "reference" and sides["case"] != sides["reference"]:
        message = f"the reference {sides['reference'].id} failed: {message}"
    return WorkerFailed(kind, message, error.log_tail)
