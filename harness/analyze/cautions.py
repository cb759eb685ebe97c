"""Doubts about a number, each with what to do about it."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from harness.analyze import stats
from harness.analyze.epochs import later_sample_seconds
from harness.records import Case, Measurement, ModelFacts, Protocol, Round

_STEAL_SHARE = 0.02
_OTHERS_CPUS = 0.10
_WATCHING_SHARE = 0.01
_DRIFT = 0.03
_FIT_SPREAD = 1.25


def of_measurement(measurement: Measurement, protocol: Protocol) -> list[str]:
    """List the cautions of one comparison."""
    found = [*_disturbed(measurement), *_traced(measurement), *_learning(measurement)]
    found += [*_unequal(measurement), *_repeats(measurement, protocol), *_drifting(measurement)]
    return [*found, *_noise_floor(measurement, protocol), *_uneven_fits(measurement)]


def _disturbed(m: Measurement) -> Iterator[str]:
    wall = sum(r.seconds for r in m.rounds)
    cpus = max(m.case.threads, m.reference.threads)
    steal = sum(r.steal_seconds or 0.0 for r in m.rounds) / wall / cpus
    if steal > _STEAL_SHARE:
        yield (
            f"the hypervisor took {100 * steal:.0f} % of the CPU time; "
            "measure again in a quieter hour"
        )
    others = sum(r.other_cpu_seconds or 0.0 for r in m.rounds) / wall
    if others > _OTHERS_CPUS:
        yield (
            f"other processes kept {others:.2f} CPUs busy meanwhile; stop them and measure again"
        )
    throttled = sum(r.throttled_seconds or 0.0 for r in m.rounds)
    if throttled > 0:
        yield f"the cgroup's CPU quota stopped it for {throttled:.1f} s; raise the quota"
    usage = [start.usage for start in m.starts if start.usage]
    watched = sum(u.watched_seconds for u in usage)
    watching = sum(u.watching_cpu_seconds for u in usage)
    if watched and watching > _WATCHING_SHARE * watched:
        yield (
            f"reading counters cost {100 * watching / watched:.1f} % of a CPU; "
            "compare only with runs watched alike"
        )


def _traced(m: Measurement) -> Iterator[str]:
    if any(start.traces for start in m.starts):
        yield "the step was traced again in timed rounds; give every batch the same shape"


def _learning(m: Measurement) -> Iterator[str]:
    if not m.facts.parameters_moved:
        yield "the parameters did not move; check that the layers are trainable"
        return
    last = {r.block: r.loss for r in m.rounds if r.role == "case"}
    if last and statistics.median(last.values()) >= m.facts.initial_loss:
        yield "the loss did not fall; check optimizer and learning rate"


def _unequal(m: Measurement) -> Iterator[str]:
    """Name what differs besides the axis compared, and a device that was not the one asked for."""
    if m.facts.optimizer != m.reference_facts.optimizer:
        yield (
            f"the optimizer differs too ({m.facts.optimizer} against "
            f"{m.reference_facts.optimizer}); the speedup is of both changes together"
        )
    sides: tuple[tuple[Case, ModelFacts], ...] = (
        (m.case, m.facts),
        (m.reference, m.reference_facts),
    )
    if any(case.device == "gpu" and facts.device_name == "cpu" for case, facts in sides):
        yield "a GPU was asked for and the CPU trained; check the framework's GPU build"


def _repeats(m: Measurement, protocol: Protocol) -> Iterator[str]:
    blocks = len({r.block for r in m.rounds})
    if blocks < protocol.blocks:
        yield (
            f"only {blocks} of {protocol.blocks} blocks fitted into the time limit; "
            "allow more minutes for a narrower interval"
        )


def _drifting(m: Measurement) -> Iterator[str]:
    """Compare the first and the last third of the rounds of each block, over blocks."""
    for role in ("reference", "case"):
        change = _drift([r for r in m.rounds if r.role == role])
        if change is not None:
            case = m.case if role == "case" else m.reference
            yield (
                f"{case.variant} at batch {case.batch_size} was not steady: its rounds changed by "
                f"{100 * change:+.0f} % within a block; use a higher effort"
            )


def _drift(rounds: Sequence[Round]) -> float | None:
    blocks = _by_block(rounds, lambda r: math.log(r.seconds / r.steps))
    changes = []
    for logs in blocks:
        third = len(logs) // 3
        if third:
            changes.append(statistics.fmean(logs[-third:]) - statistics.fmean(logs[:third]))
    if len(changes) < 3:
        return None
    estimate = stats.log_interval(changes, confidence=0.99)
    assert estimate.low is not None  # noqa: S101  (there are three values)
    assert estimate.high is not None  # noqa: S101
    shown = estimate.low > 1 or estimate.high < 1
    return estimate.value - 1 if shown and abs(math.log(estimate.value)) > _DRIFT else None


def _by_block(rounds: Sequence[Round], value: Callable[[Round], float]) -> list[list[float]]:
    blocks: dict[int, list[float]] = defaultdict(list)
    for a_round in rounds:
        blocks[a_round.block].append(value(a_round))
    return list(blocks.values())


def _noise_floor(m: Measurement, protocol: Protocol) -> Iterator[str]:
    if m.case != m.reference or protocol.effort == "quick":
        return
    estimate = stats.speedup(m)
    low, high = estimate.low, estimate.high
    if low is not None and high is not None and not low <= 1 <= high:
        yield (
            f"the case against itself gave {estimate.value:.3f}×; "
            "trust no difference of that size, measure again in a quieter hour"
        )


def _uneven_fits(m: Measurement) -> Iterator[str]:
    sample_seconds = [later_sample_seconds(s.fit) for s in m.starts if s.fit]
    if sample_seconds and max(sample_seconds) > _FIT_SPREAD * min(sample_seconds):
        batch = m.case.batch_size
        low, high = min(sample_seconds) * batch * 1e3, max(sample_seconds) * batch * 1e3
        yield (
            f"steps within Model.fit took {low:.0f} to {high:.0f} ms from worker to worker; "
            "read the interval of the epoch time, not its value"
        )
