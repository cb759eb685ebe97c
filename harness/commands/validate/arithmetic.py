"""Check the statistics on simulated blocks, and identities in a run's tables."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace

from harness import tables
from harness.analyze import stats
from harness.analyze.analysis import Analysis
from harness.analyze.start_order import without_start_order
from harness.commands.validate.claims import Check, contains, decided, share
from harness.records import Measurement, Run

_BLOCKS = 6
_SPREAD = 0.02
_START_ORDER = 0.013  # the start-order effect as measured; any value would do


def simulated(tries: int) -> Iterator[Check]:
    """Check intervals over simulated blocks of a known ratio.

    Blocks scatter normally, all alike or every tenth five times as far.
    """
    for subject, odd, claim, least in (
        ("simulated blocks", 0.0, "interval holds the true ratio", 0.94),
        ("the same, every tenth scattered five times as far", 0.1, "", None),
    ):
        rng = random.Random(1)  # noqa: S311  (a simulation)
        truth = math.log(1.1)
        held = []
        for _ in range(tries):
            logs = [
                rng.gauss(truth, _SPREAD * (5 if rng.random() < odd else 1))
                + (-_START_ORDER if block % 2 else _START_ORDER)
                for block in range(_BLOCKS)
            ]
            free = without_start_order(logs, range(_BLOCKS))
            held.append(contains(stats.log_interval(free), 1.1))
        yield share(subject, claim, held, least)


def of_run(run: Run) -> Iterator[Check]:
    """Check identities that must hold in the tables of every run."""
    measured = [o for o in run.outcomes if isinstance(o, Measurement)]
    if not measured:
        return
    equal = [stats.speedup(_equal_durations(m)) for m in measured]
    exact = all((e.value, e.low, e.high) == (1.0, 1.0, 1.0) for e in equal)
    yield _identity("equal durations", "speedup is exactly 1", len(equal), holds=exact)
    frame = tables.frame(Analysis(run), "measurements")
    product = frame["samples_per_s"] * frame["step_us"] / 1e6 / frame["batch_size"]
    exact = bool((abs(product - 1) < 1e-9).all())
    yield _identity("samples/s × s/step in every row", "is the batch size", len(frame), holds=exact)
    turned = replace(run, outcomes=run.outcomes[::-1])
    other = tables.frame(Analysis(turned), "measurements").set_index("case")
    other = other.loc[frame["case"]].reset_index()
    names = ["step_us", "step_us_low", "step_us_high", "peak_rss_mib", "loss"]
    apart = (frame[names] - other[names]).abs() / frame[names].abs()
    exact = bool((apart.fillna(0) < 1e-12).all(axis=None))
    yield _identity("cases in the opposite order", "no number changes", len(frame), holds=exact)


def _identity(subject: str, claim: str, n: int, *, holds: bool) -> Check:
    return decided(subject, claim, "in all" if holds else "not in all", n, holds=holds)


def _equal_durations(m: Measurement) -> Measurement:
    """Return the comparison as if each sample had taken a millisecond on both sides."""
    rounds = (replace(r, seconds=1e-3 * r.steps * m.side(r.role).batch_size) for r in m.rounds)
    return replace(m, rounds=tuple(rounds))
