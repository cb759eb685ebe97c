"""Judge the method by comparisons of known truth."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from harness.analyze import cautions, rounds, stats, verdicts
from harness.analyze.moderation import Speedups
from harness.commands.validate.claims import Check, between, contains, decided, ratio, share
from harness.commands.validate.truths import Trial, is_disturbed
from harness.records import Estimate, Measurement, Role, Round

PROTOCOL = "this harness"
_INDEPENDENT = "rounds taken as independent"
_SEPARATE = "one process after the other"
Measured = Sequence[tuple[Trial, Measurement]]


def noise(measured: Measured) -> Iterator[Check]:
    """Judge comparisons of a case with itself, by the protocol and by common practice."""
    for way, known in by_way(measured).items():
        estimates = [estimate for estimate, _ in known]
        if way == PROTOCOL:
            subject = f"a case against itself, {way}"
            yield _hold_one(subject, "interval holds 1", estimates, 0.93)
            quiet = [verdicts.verdict(e) not in {"faster", "slower"} for e in estimates]
            yield share(subject, "not called faster or slower", quiet, 0.95)
        else:
            yield _hold_one(way, "", estimates)


def by_way(measured: Measured) -> dict[str, list[tuple[Estimate, float]]]:
    """Return estimates and their truths, by the method applied to the same rounds."""
    return {
        PROTOCOL: [(estimate, t.truth) for t, estimate in _judged(measured)],
        _INDEPENDENT: [(_independent(m), t.truth) for t, m in measured],
        _SEPARATE: [(e, 1.0) for _, m in measured for e in _one_after_the_other(m)],
    }


def _judged(measured: Measured) -> list[tuple[Trial, Estimate]]:
    """Return the speedup of each trial as the tables of a run give it."""
    speedups = Speedups.of(m for _, m in measured)
    return [(trial, speedups.speedup(m)) for trial, m in measured]


def _hold_one(
    subject: str, claim: str, estimates: Sequence[Estimate], least: float | None = None
) -> Check:
    check = share(subject, claim, [contains(e, 1.0) for e in estimates], least)
    if not estimates:
        return check
    half = statistics.median(map(half_width, estimates))
    return dataclasses.replace(check, found=f"{check.found}, ±{100 * half:.1f} %")


def half_width(estimate: Estimate) -> float:
    """Return half of an interval's width, as a share; infinite without an interval."""
    if estimate.low is None or estimate.high is None:
        return math.inf
    return math.sqrt(estimate.high / estimate.low) - 1


def _independent(m: Measurement) -> Estimate:
    """Compare the rounds of both sides as if each were an independent sample (Welch)."""
    blocks = rounds.blocks(m)
    return _welch(_logs(m, "reference", blocks), _logs(m, "case", blocks))


def _one_after_the_other(m: Measurement) -> Iterator[Estimate]:
    """Compare the case in a block with itself in the next, as separate runs do.

    Not the reference, which other comparisons share. Rounds count as independent.
    """
    blocks = rounds.blocks(m)
    for one, other in zip(blocks[::2], blocks[1::2], strict=False):
        yield _welch(_logs(m, "case", [one]), _logs(m, "case", [other]))


def _welch(here: Sequence[float], there: Sequence[float]) -> Estimate:
    return stats.exponential(stats.sum_interval([here, [-log for log in there]]))


def _logs(m: Measurement, role: Role, blocks: Iterable[int]) -> list[float]:
    workers = rounds.by_worker(m)
    return [
        math.log(seconds)
        for block in blocks
        if (role, block) in workers
        for seconds in rounds.step_seconds(workers[role, block])
    ]


def slowdowns(measured: Measured) -> Iterator[Check]:
    """Judge comparisons with a case that is slower by a known amount."""
    for slowdown in sorted({trial.slowdown for trial, _ in measured}):
        here = [e for trial, e in _judged(measured) if trial.slowdown == slowdown]
        subject = f"slower by {100 * slowdown:.0f} %"
        below = [e.high is not None and e.high < 1 for e in here]
        yield share(subject, "interval below 1", below, 0.8 if slowdown >= 0.05 else None)
        called = [verdicts.verdict(e) == "slower" for e in here]
        yield share(subject, "called slower", called, 0.8 if slowdown >= 0.10 else None)
    yield _covered("all known slowdowns", measured)


def _covered(subject: str, measured: Measured) -> Check:
    held = [contains(estimate, trial.truth) for trial, estimate in _judged(measured)]
    return share(subject, "interval holds the true ratio", held, 0.90)


def disturbed(measured: Measured) -> Iterator[Check]:
    """Judge comparisons with a busy process in a third of their blocks."""
    subject = "a competitor in a third of the blocks"
    yield _covered(subject, measured)
    warned = [_has_caution(m) for _, m in measured]
    yield share(subject, "the comparison has the caution", warned, 0.95)
    blocks = [
        (is_disturbed(block), _has_caution(_only(block, m)))
        for _, m in measured
        for block in rounds.blocks(m)
    ]
    warned = [caution for busy, caution in blocks if busy]
    yield share("a disturbed block", "has the caution", warned, 0.90)
    quiet = [not caution for busy, caution in blocks if not busy]
    yield share("a quiet block", "has no caution", quiet, 0.90)


def _has_caution(m: Measurement) -> bool:
    return bool(list(cautions.disturbances(m)))


def _only(block: int, m: Measurement) -> Measurement:
    """Return a block as a comparison of its own."""
    return dataclasses.replace(
        m,
        rounds=tuple(r for r in m.rounds if r.block == block),
        starts=tuple(s for s in m.starts if s.block == block),
    )


def order(measured: Measured) -> Iterator[Check]:
    """Judge whether the order in a turn, or the start order in a block, changes a time.

    The two workers of the reference are equal, so that only their places differ.
    """
    firsts, starters, seen = [], [], set[int | None]()
    for _, m in measured:
        workers = rounds.by_worker(m)
        places = {(start.role, start.block): start.place or 0 for start in m.starts}
        shared = {start.block: start.group_block for start in m.starts}
        for block in rounds.blocks(m):
            one, other = workers["reference", block], workers.get(("second", block), ())
            if not other or shared[block] in seen:  # both are those of a comparison before
                continue
            seen.add(shared[block])
            if (first := _first_over_later(one, other)) is not None:
                firsts.append(first)
            log = math.log(rounds.median_step(one) / rounds.median_step(other))
            later = places["reference", block] > places["second", block]
            starters.append(-log if later else log)
    if firsts:
        yield ratio("earlier over later round of a turn", stats.log_interval(firsts), 0.01)
    if starters:
        estimate = stats.log_interval(starters)
        yield ratio("worker that started earlier over the other", estimate, 0.03)


def _first_over_later(one: Sequence[Round], other: Sequence[Round]) -> float | None:
    """Mean log of the earlier over the later round of a turn, each worker first by turns."""
    later = {r.pair: r for r in other}
    logs: dict[bool, list[float]] = {True: [], False: []}
    for r in one:
        if r.pair in later:
            log = math.log(r.seconds / r.steps / later[r.pair].seconds * later[r.pair].steps)
            logs[r.position < later[r.pair].position].append(log)
    if not logs[True] or not logs[False]:
        return None
    return (statistics.fmean(logs[True]) - statistics.fmean(logs[False])) / 2


def watching(measured: Measured) -> Iterator[Check]:
    """Judge the cost of the readings during rounds, and their peak against the kernel's."""
    starts = {(s.group_block, s.place): s for _, m in measured for s in m.starts}
    usages = [(s, s.usage) for s in starts.values() if s.usage is not None]
    seconds = sum(usage.watched_seconds for _, usage in usages)
    cost = sum(usage.watching_cpu_seconds for _, usage in usages)
    if seconds:
        claim, found = "below 1 % of a core", f"{100 * cost / seconds:.2f} % of a core"
        holds = cost < 0.01 * seconds
        yield decided("CPU time of the readings", claim, found, len(usages), holds=holds)
    peaks = [(usage.peak_rss_bytes, s.peak_rss_bytes) for s, usage in usages]
    if near := [read / kernel for read, kernel in peaks if read is not None]:
        claim = "at most 1, at least 0.9"
        yield between("peak of the readings over VmHWM", claim, near, 0.9, 1.0)
