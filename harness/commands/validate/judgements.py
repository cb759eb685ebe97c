"""Judge the method by comparisons of known truth."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from harness.analyze import cautions, rounds, stats, verdicts
from harness.commands.validate.claims import Check, half_width, ratio, share
from harness.commands.validate.slowed import is_disturbed
from harness.commands.validate.truths import Trial
from harness.records import Estimate, Measurement, Role

ITSELF, PROTOCOL = "a case against itself", "the protocol"
COVERS = 0.93  # share of the 95 % intervals that must hold the truth
Measured = Sequence[tuple[Trial, Measurement]]


def contains(estimate: Estimate, truth: float) -> bool:
    """Whether the interval holds the truth; a missing interval holds nothing."""
    low, high = estimate.low, estimate.high
    return low is not None and high is not None and low <= truth <= high


def noise(measured: Measured) -> Iterator[Check]:
    """Judge comparisons of a case with itself, by the protocol and by common practice."""
    ways = by_way(measured)
    for way, known in ways.items():
        estimates = [estimate for estimate, _ in known]
        if way == PROTOCOL:
            claim = "interval holds 1 in ≥ 93 %"
            yield _hold_one(f"{ITSELF}, {way}", claim, estimates, COVERS)
            called = sum(verdicts.verdict(e) in {"faster", "slower"} for e in estimates)
            quiet, claim = len(estimates) - called, "not called faster or slower in ≥ 95 %"
            yield share(f"{ITSELF}, {way}", claim, quiet, len(estimates), 0.95)
        else:
            yield _hold_one(way, "", estimates)


def by_way(measured: Measured) -> dict[str, list[tuple[Estimate, float]]]:
    """Return estimates and their truths, by the method applied to the same rounds."""
    return {
        PROTOCOL: [(stats.speedup(m), t.truth) for t, m in measured],
        "the same rounds, each taken as independent": [
            (_independent(m), t.truth) for t, m in measured
        ],
        "one process after the other, rounds as independent": [
            (e, 1.0) for _, m in measured for e in _one_after_the_other(m)
        ],
    }


def _hold_one(
    subject: str, claim: str, estimates: Sequence[Estimate], least: float | None = None
) -> Check:
    hits = sum(contains(e, 1.0) for e in estimates)
    check = share(subject, claim, hits, len(estimates), least)
    if not estimates:
        return check
    half = statistics.median(map(half_width, estimates))
    return Check(
        subject, claim, f"{check.found}, ±{100 * half:.1f} %", len(estimates), check.verdict
    )


def _independent(m: Measurement) -> Estimate:
    """Compare the rounds of both sides as if each were an independent sample (Welch)."""
    blocks = rounds.blocks(m)
    return _welch(_logs(m, "reference", blocks), _logs(m, "case", blocks))


def _one_after_the_other(m: Measurement) -> Iterator[Estimate]:
    """Compare the reference in a block with itself in another, as separate runs do.

    The start order alternates between blocks, so blocks two apart are compared: only the process
    and the time differ.
    """
    blocks = rounds.blocks(m)
    before, after = blocks[::4] + blocks[1::4], blocks[2::4] + blocks[3::4]
    for one, other in zip(before, after, strict=False):
        yield _welch(_logs(m, "reference", [one]), _logs(m, "reference", [other]))


def _welch(here: Sequence[float], there: Sequence[float]) -> Estimate:
    return stats.exponential(stats.sum_interval([here, [-log for log in there]]))


def _logs(m: Measurement, role: Role, blocks: Iterable[int]) -> list[float]:
    workers = rounds.by_worker(m)
    return [
        math.log(seconds)
        for block in rounds.blocks(m)
        if block in blocks and (role, block) in workers
        for seconds in rounds.step_seconds(workers[role, block])
    ]


def slowdowns(measured: Measured) -> Iterator[Check]:
    """Judge comparisons with a case that is slower by a known amount."""
    for slowdown in sorted({trial.slowdown for trial, _ in measured}):
        here = [stats.speedup(m) for trial, m in measured if trial.slowdown == slowdown]
        subject = f"slower by {100 * slowdown:.0f} %"
        shown = sum(e.high is not None and e.high < 1 for e in here)
        least = 0.8 if slowdown >= 0.05 else None
        claim = "interval below 1 in ≥ 80 %" if least else ""
        yield share(subject, claim or "interval below 1", shown, len(here), least)
        called = sum(verdicts.verdict(e) == "slower" for e in here)
        least = 0.8 if slowdown >= 0.10 else None
        claim = "called slower in ≥ 80 %" if least else "called slower"
        yield share(subject, claim, called, len(here), least)
    yield _covered("all known slowdowns", measured)


def _covered(subject: str, measured: Measured) -> Check:
    held = sum(contains(stats.speedup(m), trial.truth) for trial, m in measured)
    return share(subject, "interval holds the true ratio in ≥ 90 %", held, len(measured), 0.90)


def disturbed(measured: Measured) -> Iterator[Check]:
    """Judge comparisons with a busy process in a third of their blocks."""
    subject = "a competitor in a third of the blocks"
    yield _covered(subject, measured)
    warned = sum(bool(list(cautions.disturbances(m))) for _, m in measured)
    claim = "the comparison has the caution in ≥ 95 %"
    yield share(subject, claim, warned, len(measured), 0.95)
    blocks = [
        (is_disturbed(block), bool(list(cautions.disturbances(part))))
        for _, m in measured
        for block, part in _blocks(m)
    ]
    for busy, claim in ((True, "has the caution"), (False, "has none")):
        found = [warned is busy for was, warned in blocks if was is busy]
        yield share(
            "a disturbed block" if busy else "a quiet block beside it",
            f"{claim} in ≥ 90 %",
            sum(found),
            len(found),
            0.90,
        )


def _blocks(m: Measurement) -> Iterator[tuple[int, Measurement]]:
    """Yield each block as a comparison of its own."""
    for block in rounds.blocks(m):
        yield (
            block,
            dataclasses.replace(
                m,
                rounds=tuple(r for r in m.rounds if r.block == block),
                starts=tuple(s for s in m.starts if s.block == block),
            ),
        )


def order(measured: Measured) -> Iterator[Check]:
    """Judge whether the order in a pair, or the start order in a block, changes a time."""
    firsts, starters = [], []
    for _, m in measured:
        for block in rounds.blocks(m):
            pairs: dict[int, dict[int, float]] = {}
            for r in (r for r in m.rounds if r.block == block):
                pairs.setdefault(r.pair, {})[r.position] = r.seconds / r.steps
            logs = [math.log(p[0] / p[1]) for p in pairs.values() if len(p) == 2]
            # An equal number of pairs of each order, so that the workers cancel.
            even = len(logs) - len(logs) % 2
            if even:
                firsts.append(statistics.fmean(logs[:even]))
        starters += [
            log if index % 2 == 0 else -log  # the reference starts first in even blocks
            for index, log in stats.logs_by_block(m).items()
        ]
    within = "within 1 %"
    # The start order alternates between blocks: with three blocks, the fewest with an interval,
    # the mean keeps a third of its effect.
    cancelled = "within 3 %: 3 blocks keep a third, 2 nothing"
    for subject, claim, margin, values in (
        ("first over second round of a pair", within, 0.01, firsts),
        ("worker that started first over the other", cancelled, 0.03, starters),
    ):
        if values:
            yield ratio(subject, claim, stats.log_interval(values), margin)


def watching(measured: Measured) -> Iterator[Check]:
    """Judge the cost of the readings during rounds, and their peak against the kernel's."""
    usages = [(s, s.usage) for _, m in measured for s in m.starts if s.usage is not None]
    seconds = sum(usage.watched_seconds for _, usage in usages)
    cost = sum(usage.watching_cpu_seconds for _, usage in usages)
    if seconds:
        yield Check(
            "CPU time of the readings",
            "below 1 % of a core",
            f"{100 * cost / seconds:.2f} % of a core",
            len(usages),
            "holds" if cost < 0.01 * seconds else "falls short",
        )
    peaks = [(usage.peak_rss_bytes, s.peak_rss_bytes) for s, usage in usages]
    near = [read / kernel for read, kernel in peaks if read is not None]
    if near:
        low, high = min(near), max(near)
        yield Check(
            "peak of the readings over VmHWM",
            "at most 1, at least 0.9",
            f"{low:.3f} to {high:.3f}",
            len(near),
            "holds" if low >= 0.9 and high <= 1.0 else "falls short",
        )
