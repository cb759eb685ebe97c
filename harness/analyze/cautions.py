"""Doubts about a number, each with what to do about it."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness import units
from harness.analyze import rounds, stats
from harness.analyze.devices import gpu
from harness.analyze.once import once
from harness.records import (
    Case,
    Counters,
    Estimate,
    GpuUsage,
    Machine,
    Measurement,
    Protocol,
    Role,
    Round,
    Surroundings,
)

SEPARATOR = " | "  # between the cautions of one cell
OPTIMIZER_DIFFERS = "the optimizer differs too"
JIT_DIFFERS = "jit is on for one side only"
RANDOM_DATA = "fitted"
_STEAL_SHARE = 0.02
_OTHERS_CPUS = 0.10
_WATCHING_SHARE = 0.01
_DRIFT = 0.03
_FASTER_LATER = 3.0  # a step of the first rounds over one of later rounds, or of a fit
_SLEPT_SECONDS = 0.5
_STEPPED_SECONDS = 1.0  # of a comparison; NTP slews by some ms a minute
_MOST_CHANGES = 4  # that are told
_FEWER_BLOCKS = {  # by how a comparison ended
    "complete": (
        "not all blocks fitted into the time limit",
        "allow more minutes for a narrower interval",
    ),
    "interrupted": ("the run was interrupted before all blocks", "continue it"),
}
THROTTLED_SHARE = 0.05  # of readings, from which a lowered clock is told


@dataclass(frozen=True, slots=True)
class Caution:
    """What may be wrong, what to do about it, and how much of it there was."""

    doubt: str  # the same words for every case that it holds for
    advice: str
    figure: str = ""  # empty when there is nothing to measure

    def __str__(self) -> str:
        """Write it on one line."""
        return f"{self.doubt}{f' ({self.figure})' if self.figure else ''}; {self.advice}"


@once
def of_measurement(measurement: Measurement, protocol: Protocol) -> list[Caution]:
    """List the cautions of one comparison that do not depend on the others of its run."""
    return [
        *_disturbed(measurement),
        *changed(measurement.surroundings),
        *_gpu(measurement, protocol),
        *_traced(measurement),
        *_programs(measurement),
        *_spawned(measurement),
        *_learning(measurement),
        *_left_out(measurement),
        *_own_settings(measurement),
        *_unequal(measurement),
        *_repeats(measurement, protocol),
        *_drifting(measurement),
        *_faster_later(measurement),
    ]


def of_machine(machine: Machine) -> list[Caution]:
    """List the cautions of every figure of a run."""
    return [Caution(part.what, part.advice) for part in machine.withheld]


def disturbed_cpus(its: Sequence[Counters], seconds: float, cpus: int) -> Iterator[Caution]:
    """Say what else the CPUs did while rounds or epochs took so many seconds on so many CPUs."""
    steal = rounds.total(its, "steal_seconds") / seconds / cpus
    if steal > _STEAL_SHARE:
        doubt = "the hypervisor gave CPU time to others"
        yield Caution(doubt, "measure again in a quieter hour", f"{100 * steal:.0f} %")
    others = rounds.total(its, "other_cpu_seconds") / seconds
    if others > _OTHERS_CPUS:
        doubt = "other processes kept CPUs busy meanwhile"
        yield Caution(doubt, "stop other programs and measure again", f"{others:.2f} CPUs")


def disturbances(m: Measurement) -> Iterator[Caution]:
    """Say what others did on the machine while a comparison was measured."""
    yield from _others(m)
    yield from shared_gpu(gpu.usages(m.starts))


@once
def _others(m: Measurement) -> tuple[Caution, ...]:
    seconds = rounds.total(m.rounds, "seconds")
    return tuple(disturbed_cpus(m.rounds, seconds, max(m.case.threads, m.reference.threads)))


def stopped_by_quota(its: Sequence[Counters]) -> Iterator[Caution]:
    """Say that the cgroup's quota stopped the training."""
    throttled = rounds.total(its, "throttled_seconds")
    if throttled > 0:
        doubt = "the cgroup's CPU quota stopped the training"
        yield Caution(doubt, "raise the quota", f"{throttled:.1f} s")


def _disturbed(m: Measurement) -> Iterator[Caution]:
    yield from _others(m)
    yield from stopped_by_quota(m.rounds)
    usage = [start.usage for start in m.starts if start.usage]
    watched = sum(u.watched_seconds for u in usage)
    watching = sum(u.watching_cpu_seconds for u in usage)
    if watched and watching > _WATCHING_SHARE * watched:
        doubt, figure = "reading counters took time from the training", 100 * watching / watched
        yield Caution(doubt, "compare only with runs watched alike", f"{figure:.1f} % of a CPU")


def changed(blocks: Sequence[Surroundings]) -> Iterator[Caution]:
    """Say what changed on the machine while something was measured."""
    others = max((block.other_runs for block in blocks), default=0)
    if others:
        doubt = "another run of this harness was on the machine meanwhile"
        yield Caution(doubt, "let one end before the next begins", f"{others}")
    slept = sum(block.suspended_seconds or 0.0 for block in blocks)
    if slept > _SLEPT_SECONDS:
        yield Caution("the machine was suspended meanwhile", "measure again", units.seconds(slept))
    stepped = sum(abs(block.clock_step_seconds or 0.0) for block in blocks)
    if stepped > _STEPPED_SECONDS:
        again = "if a virtual machine was paused, measure again"
        advice = f"times are of another clock and hold; {again}"
        yield Caution("the wall clock was set meanwhile", advice, units.seconds(stepped))
    allowed = list(dict.fromkeys(c for b in blocks for c in (b.cpus_before, b.cpus_after)))
    if len(allowed) > 1:
        advice = "leave affinity, quota and CPUs as they are, and measure again"
        figure = "CPUs " + ", then ".join(allowed[:_MOST_CHANGES])
        yield Caution("the CPUs that may be used changed meanwhile", advice, figure)


def _gpu(m: Measurement, protocol: Protocol) -> Iterator[Caution]:
    usages = gpu.usages(m.starts)
    yield from shared_gpu(usages)
    if lowered := lowered_clocks(usages):
        advice = "cool it, or compare only with runs under the same power limit"
        yield Caution("the GPU lowered its clocks", advice, ", ".join(lowered))
    waited = max(start.cool_down_seconds for start in m.starts)
    if waited >= protocol.cool_down_seconds:
        yield Caution("the GPU was still too hot after a pause", "cool it", f"{waited:.0f} s")
    math_of = [facts.float32_math or "float32" for facts in (m.facts, m.reference_facts)]
    if math_of[0] != math_of[1]:
        advice = "the speedup is of both changes; NVIDIA_TF32_OVERRIDE=0 switches TF32 off"
        yield Caution("float32 is multiplied differently", advice, " against ".join(math_of))


def _traced(m: Measurement) -> Iterator[Caution]:
    if any(start.traces for start in m.starts):
        doubt = "the step was traced again in timed rounds"
        yield Caution(doubt, "give every batch the same shape")


def _programs(m: Measurement) -> Iterator[Caution]:
    """Say that the compiler chose other kernels in another process, which scatters blocks."""
    programs = {(s.role == "case", s.program) for s in m.starts if s.program}
    most = max(sum(is_case == side for is_case, _ in programs) for side in (True, False))
    if most > 1:
        doubt = "the compiler chose other kernels in some workers of the same case"
        advice = "measure more blocks, or keep the compiler's autotuning cache"
        yield Caution(doubt, advice, f"{most} programs")


def _spawned(m: Measurement) -> Iterator[Caution]:
    """Say that workers were not forked, so that their starts are longer."""
    if any(start.spawned for start in m.starts):
        doubt = "importing the framework initialized CUDA, so that workers had new interpreters"
        yield Caution(doubt, "compare their starts only with runs like this")


def lowered_clocks(usages: Sequence[GpuUsage]) -> list[str]:
    """List the reasons for lowered clocks, each with its share of the readings."""
    return [
        f"{reason} in {100 * share:.0f} % of readings"
        for reason, share in gpu.throttled(usages).items()
        if share > THROTTLED_SHARE
    ]


def shared_gpu(usages: Sequence[GpuUsage]) -> Iterator[Caution]:
    """Say that others were on the GPU while something was timed."""
    others = gpu.foreign_processes(usages)
    if others:
        yield Caution("other processes were on the GPU", "end them and measure again", f"{others}")


def _left_out(m: Measurement) -> Iterator[Caution]:
    """Say that an epoch is not the whole training set."""
    if rest := m.facts.left_out_samples:
        doubt = "samples of an epoch fill no batch of the size that the model fixes"
        yield Caution(doubt, "they are left out of its epochs", f"{rest}")


def _own_settings(m: Measurement) -> Iterator[Caution]:
    """Say what a user's file sets of the process that trains it."""
    asked = dict.fromkeys((*m.facts.own_settings, *m.reference_facts.own_settings))
    if asked:
        doubt = "the file of the model sets threads, devices, seeds or variables"
        advice = "choose threads and devices by options, and set variables in the shell"
        yield Caution(doubt, advice, "; ".join(asked))


def _learning(m: Measurement) -> Iterator[Caution]:
    if not m.facts.parameters_moved and not any(start.moved_later for start in m.starts):
        advice = "check layers, loss and learning rate, and over how many steps it accumulates"
        yield Caution("the parameters did not move", advice)
        return
    if m.case.dataset == RANDOM_DATA:  # there is nothing to learn
        return
    last = [its[-1].loss for its in rounds.of_role(m, "case")]
    if last and statistics.median(last) >= m.facts.initial_loss:
        yield Caution("the loss did not fall", "check optimizer and learning rate")


def _unequal(m: Measurement) -> Iterator[Caution]:
    """Name what differs besides the axis compared."""
    together = "the speedup is of both changes together"
    mine, other = m.case.dataset, m.reference.dataset
    if mine != other:
        advice = f"{together}; name one dataset for both"
        yield Caution("the datasets differ", advice, f"{mine} against {other}")
    mine, other = m.facts.optimizer, m.reference_facts.optimizer
    if mine != other:
        yield Caution(OPTIMIZER_DIFFERS, together, f"{mine} against {other}")
    policies = [facts.policy for facts in (m.facts, m.reference_facts)]
    if policies[0] != policies[1] and m.case.precision == m.reference.precision:
        yield Caution("the precisions differ", together, " against ".join(map(str, policies)))
    if m.facts.eager != m.reference_facts.eager:
        slow = m.case if m.facts.eager else m.reference
        yield Caution("run_eagerly is on for one side only", together, slow.variant)
    if m.facts.jit != m.reference_facts.jit:
        compiled = m.case if m.facts.jit else m.reference
        yield Caution(JIT_DIFFERS, together, compiled.backend)


def _repeats(m: Measurement, protocol: Protocol) -> Iterator[Caution]:
    blocks = len(rounds.blocks(m))
    doubt, advice = _FEWER_BLOCKS.get(m.ended, ("", ""))
    if blocks < protocol.blocks and doubt:
        yield Caution(doubt, advice, f"{blocks} of {protocol.blocks}")


def _drifting(m: Measurement) -> Iterator[Caution]:
    """Compare the first and the last third of the rounds of each block, over blocks."""
    roles: tuple[Role, Role] = ("reference", "case")
    for role in roles:
        change, case = _drift(rounds.of_role(m, role)), m.side(role)
        if change is not None:
            figure = f"{case.variant} at batch {case.batch_size}: {100 * change:+.0f} %"
            doubt = "the step time changed within blocks"
            yield Caution(doubt, "use a higher effort", figure)


def _faster_later(m: Measurement) -> Iterator[Caution]:
    """Say that steps were slow at first, longer than the warm-up waits for."""
    found: dict[Case, list[float]] = defaultdict(list)
    for start in m.starts:
        steps = rounds.step_seconds(rounds.by_worker(m).get((start.role, start.block), ()))
        if not steps:
            continue
        case, third = m.side(start.role), max(1, len(steps) // 3)
        later = statistics.median(steps[-third:])
        if (fit := start.fit) is not None and fit.steps > fit.first_steps:
            later = min(later, fit.later_sample_seconds * case.batch_size)
        found[case].append(statistics.median(steps[:third]) / later)
    for case, ratios in found.items():
        if (ratio := statistics.median(ratios)) >= _FASTER_LATER:
            figure = f"{case.variant} at batch {case.batch_size}: {ratio:.3g} times"
            doubt = "steps became faster after the warm-up"
            yield Caution(doubt, "its step time is too long; use a higher effort", figure)


def _drift(workers: Iterable[Sequence[Round]]) -> float | None:
    changes = []
    for its in workers:
        third = len(its) // 3
        if third:
            ends = its[:third], its[-third:]
            first, last = (math.prod(rounds.step_seconds(part)) for part in ends)
            changes.append(math.log(last / first) / third)  # of their geometric means
    if len(changes) < 3:
        return None
    estimate = stats.log_interval(changes, confidence=0.99)
    shown = estimate.holds(1) is False and abs(math.log(estimate.value)) > _DRIFT
    return estimate.value - 1 if shown else None


def noise_floor(m: Measurement, speedup: Estimate, protocol: Protocol) -> Iterator[Caution]:
    """Say that a case differs from itself, if this is such a comparison.

    The speedup is the one that the tables show.
    """
    if m.case == m.reference and protocol.effort != "quick" and speedup.holds(1) is False:
        advice = "trust no difference of that size, measure again in a quieter hour"
        yield Caution("the case against itself did not give 1", advice, f"{speedup.value:.3f}×")
