"""One block: a pair of fresh workers, each warmed up, and all their pairs of rounds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from harness import units
from harness.measure import timing
from harness.measure.launcher import WorkerFailed
from harness.measure.machine import oom_kills
from harness.measure.sampler import AnyGpu, Sampler, disturbance, read_machine
from harness.records import Case, Fit, ModelFacts, Protocol, Role, Round, Start, from_json, to_json

ROLES: tuple[Role, Role] = ("reference", "case")


class AnyWorker(Interface):
    """What a block needs of a worker."""

    pid: int

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and return its answer."""


class AnyLauncher(Interface):
    """What a block needs of a launcher."""

    def start(self, case: Case, timeout: float) -> Any:
        """Start one fresh worker for a case."""

    def end(self, worker: Any) -> None:
        """End a worker."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Chosen once a comparison, then fixed: steps of a round, pairs, steps of a `fit`."""

    steps: int
    reference_steps: int
    pairs: int
    fit_steps: int

    def of(self, role: Role) -> int:
        """Steps of a round of that side."""
        return self.steps if role == "case" else self.reference_steps


@dataclass(frozen=True, slots=True)
class Block:
    """Everything observed in one block."""

    plan: Plan
    rounds: tuple[Round, ...]
    starts: tuple[Start, ...]
    facts: dict[Role, ModelFacts]


def run_block(
    index: int,
    sides: dict[Role, Case],
    protocol: Protocol,
    launcher: AnyLauncher,
    gpu: AnyGpu,
    plan: Plan | None,
    on_round: Callable[[Round], None],
    cpus: list[int],
) -> Block:
    """Measure one block; the first of a comparison also makes its plan.

    Raises:
        WorkerFailed: one of the workers did.
    """
    order = ROLES if index % 2 == 0 else ROLES[::-1]
    seats: dict[Role, _Seat] = {}
    oom_before = oom_kills()
    try:
        for role in order:
            seats[role] = _Seat(sides[role], launcher, gpu, protocol)
            seats[role].open(cpus)
            seats[role].warm_up(protocol.warm_up_seconds)
        if plan is None:
            plan = make_plan({role: seats[role].step_seconds for role in ROLES}, protocol)
        for seat in seats.values():
            seat.sampler.begin_rounds()
        rounds = []
        for pair, roles in timing.schedule(plan.pairs, index):
            for position, role in enumerate(roles):
                a_round = _round(index, pair, role, position, seats[role], plan)
                on_round(a_round)
                rounds.append(a_round)
        for seat in seats.values():
            seat.end_rounds()
        seats["case"].fit(plan.fit_steps)
        starts = tuple(seats[role].start(role, index) for role in order)
    except WorkerFailed as error:
        raise _explained(error, sides, seats, oom_before) from error
    finally:
        for seat in seats.values():
            seat.leave()
    return Block(plan, tuple(rounds), starts, {role: seats[role].facts for role in ROLES})


class _Seat:
    """One side of a block: its worker, and what watches it."""

    def __init__(self, case: Case, launcher: AnyLauncher, gpu: AnyGpu, protocol: Protocol) -> None:
        self._case = case
        self.failed = False
        self._launcher = launcher
        self._begin = time.perf_counter()
        self._worker: AnyWorker = launcher.start(case, protocol.timeout_seconds)
        self.sampler = Sampler(self._worker.pid, gpu)
        self._warm: dict[str, Any] = {}
        self._fit: Fit | None = None

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask the worker, and remember that it was this one if it fails."""
        try:
            return self._worker.ask(command, **arguments)
        except WorkerFailed:
            self.failed = True
            raise

    def open(self, cpus: list[int]) -> None:
        """Have the worker build and run its first step."""
        self._opened = self.ask("open", case=to_json(self._case), cpus=cpus)
        self._ready_seconds = time.perf_counter() - self._begin
        self.facts = from_json(ModelFacts, self._opened["facts"])

    def warm_up(self, seconds: float) -> None:
        """Have the worker train untimed until its rate is steady."""
        self._warm = self.ask("warm_up", seconds=seconds)
        self.step_seconds = float(self._warm.pop("step_seconds"))

    def end_rounds(self) -> None:
        """Stop watching, and ask the worker for its counters."""
        self.sampler.stop()
        self._counters = self.ask("counters")

    def fit(self, steps: int) -> None:
        """Have the worker time a `Model.fit` of so many steps, after all its rounds."""
        self._fit = from_json(Fit, self.ask("fit", steps=steps)["fit"])

    def start(self, role: Role, block: int) -> Start:
        """Collect all that is known of this worker."""
        return Start(
            role=role,
            block=block,
            ready_seconds=self._ready_seconds,
            fit=self._fit,
            usage=self.sampler.usage(),
            **self._opened["start"],
            **self._warm,
            **self._counters,
        )

    def leave(self) -> None:
        """End worker and sampler."""
        self.sampler.stop()
        self._launcher.end(self._worker)


def _explained(
    error: WorkerFailed,
    sides: dict[Role, Case],
    seats: dict[Role, _Seat],
    oom_before: int | None,
) -> WorkerFailed:
    """Say which side failed, and tell the kernel's end for memory from somebody else's."""
    role, seat = next(((r, s) for r, s in seats.items() if s.failed), (None, None))
    kind, message = error.kind, str(error)
    if kind == "killed" and seat is not None:
        oom_now = oom_kills()
        if oom_before is not None and oom_now is not None and oom_now > oom_before:
            kind, message = "oom", "the kernel ended the worker because memory ran out"
        message += f"; its last reading was {units.mebibytes(seat.sampler.last_rss_bytes)}"
    if role == "reference" and sides["case"] != sides["reference"]:
        message = f"the reference {sides['reference'].id} failed: {message}"
    return WorkerFailed(kind, message, error.log_tail)


def _round(block: int, pair: int, role: Role, position: int, seat: _Seat, plan: Plan) -> Round:
    before = read_machine()
    answer = seat.ask("round", steps=plan.of(role))
    counters: dict[str, Any] = disturbance(before, read_machine(), answer["cpu_seconds"])
    return Round(block=block, pair=pair, role=role, position=position, **answer, **counters)


def make_plan(step: dict[Role, float], protocol: Protocol) -> Plan:
    """Choose steps and pairs from the seconds a step of the warm-up."""
    # Both rounds of a pair last about as long, so that neither is the noisier one.
    seconds = max(protocol.round_seconds, *step.values())
    steps = {role: protocol.steps or timing.choose_steps(step[role], seconds) for role in ROLES}
    pair_seconds = sum(steps[role] * step[role] for role in ROLES)
    pairs = timing.choose_pairs(
        pair_seconds, protocol.block_seconds, protocol.min_pairs, protocol.max_pairs
    )
    # The first step of a `fit` also starts the input pipeline; the rate is that of the others.
    fit_steps = 1 + max(1, math.ceil(protocol.fit_seconds / step["case"]))
    return Plan(steps["case"], steps["reference"], pairs, fit_steps)
