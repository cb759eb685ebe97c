"""One block: a pair of fresh workers, each warmed up, and all their pairs of rounds."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from harness.measure import timing
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

    def start(self, backend: str, timeout: float) -> Any:
        """Start one fresh worker."""

    def end(self, worker: Any) -> None:
        """End a worker."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Chosen once a comparison, then fixed: steps of a round on each side, and pairs."""

    steps: int
    reference_steps: int
    pairs: int

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
    workers: dict[Role, AnyWorker] = {}
    opened: dict[Role, dict[str, Any]] = {}
    ready: dict[Role, float] = {}
    try:
        for role in order:
            case = sides[role]
            begin = time.perf_counter()
            workers[role] = launcher.start(case.backend, protocol.timeout_seconds)
            opened[role] = workers[role].ask(
                "open", case=to_json(case), cpus=cpus, warm_up_seconds=protocol.warm_up_seconds
            )
            ready[role] = time.perf_counter() - begin
        plan = plan or make_plan(opened, protocol)
        samplers = {role: Sampler(workers[role].pid, gpu) for role in ROLES}
        rounds = []
        with contextlib.ExitStack() as watching:
            for sampler in samplers.values():
                watching.enter_context(sampler)
            for pair, roles in timing.schedule(plan.pairs, index):
                for position, role in enumerate(roles):
                    a_round = _round(index, pair, role, position, workers[role], plan)
                    on_round(a_round)
                    rounds.append(a_round)
        fit = _fit(workers["case"], opened["case"]["step_seconds"], protocol.fit_seconds)
        starts = []
        for role in order:
            end = workers[role].ask("finish")
            start = opened[role]["start"]
            starts.append(
                Start(
                    role=role,
                    block=index,
                    ready_seconds=ready[role],
                    fit=fit if role == "case" else None,
                    usage=samplers[role].usage(),
                    **start,
                    **end,
                )
            )
    finally:
        for worker in workers.values():
            launcher.end(worker)
    facts = {role: from_json(ModelFacts, opened[role]["facts"]) for role in ROLES}
    return Block(plan, tuple(rounds), tuple(starts), facts)


def _round(
    block: int, pair: int, role: Role, position: int, worker: AnyWorker, plan: Plan
) -> Round:
    before = read_machine()
    answer = worker.ask("round", steps=plan.of(role))
    counters: dict[str, Any] = disturbance(before, read_machine(), answer["cpu_seconds"])
    return Round(block=block, pair=pair, role=role, position=position, **answer, **counters)


def make_plan(opened: dict[Role, dict[str, Any]], protocol: Protocol) -> Plan:
    """Choose steps and pairs from the step times of the warm-up."""
    step = {role: float(opened[role]["step_seconds"]) for role in ROLES}
    steps = {
        role: protocol.steps or timing.choose_steps(step[role], protocol.round_seconds)
        for role in ROLES
    }
    pair_seconds = sum(steps[role] * step[role] for role in ROLES)
    pairs = timing.choose_pairs(
        pair_seconds, protocol.block_seconds, protocol.min_pairs, protocol.max_pairs
    )
    return Plan(steps["case"], steps["reference"], pairs)


def _fit(worker: AnyWorker, step_seconds: float, fit_seconds: float) -> Fit:
    steps = max(1, math.ceil(fit_seconds / step_seconds))
    return from_json(Fit, worker.ask("fit", steps=steps)["fit"])
