"""What levers bring, alone and on top of each other: Run → one row an attempt."""

import statistics
from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from harness.analyze import cases, rounds, stats
from harness.analyze.cautions import SEPARATOR
from harness.records import Attempt, Estimate, Failure, Measurement, Role, Run, Tuning

LossVerdict = Literal["same", "differs", "not shown"]
LOSS_MARGIN = 0.05
_SAME = 1e-6
ALONE, ADDED, STACK = "alone", "added", "stack"
COLUMNS = [
    "plain", "case", "variant", "dataset", "batch_size", "backend", "device", "threads", "what",
    "lever", "setting", "on_top_of", "in_stack", "status", "reason", "note", "speedup", "low",
    "high", "blocks", "verdict", "smallest_visible", "compared_by", "first_step_s",
    "first_step_plain_s", "pays_after_steps", "peak_rss_mib", "peak_rss_plain_mib", "loss",
    "loss_plain", "loss_difference", "loss_low", "loss_high", "loss_verdict", "early_steps",
    "environment", "cautions",
]  # fmt: skip
_COUNTS = ("blocks", "pays_after_steps", "early_steps")


def levers(run: Run) -> pd.DataFrame:
    """One row a lever alone, then one each that was tried on top of others, then the stack.

    `plain` in a column's name means the reference: the case without the lever. `loss` is the
    mean over blocks of the loss in the second half of the first `early_steps` steps;
    `loss_difference` that of the two sides as a share of the reference's, paired by block, each
    of which trains both from the same weights.
    """
    found = {outcome.key: outcome for outcome in run.outcomes}
    rows = [
        _row(tuning, attempt, what, found.get(attempt.key), run)
        for tuning in run.tunings
        for attempt, what in _attempts(tuning)
        if attempt.reason or attempt.key in found
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype(dict.fromkeys(_COUNTS, "Int64"))  # whole, though some are missing


def _attempts(tuning: Tuning) -> list[tuple[Attempt, str]]:
    its = [(a, ALONE if a.reference == tuning.plain else ADDED) for a in tuning.attempts]
    its.sort(key=lambda pair: (pair[1] == ADDED, bool(pair[0].reason)))
    if tuning.stacked is not None and tuning.stack:
        whole = Attempt(" + ".join(tuning.stack), tuning.stacked, tuning.plain)
        its.append((whole, STACK))
    return its


def _row(
    tuning: Tuning, attempt: Attempt, what: str, outcome: Measurement | Failure | None, run: Run
) -> dict[str, Any]:
    name, _, setting = attempt.lever.partition("=")
    several = what == STACK or "+" in attempt.lever
    row = {
        **{k: v for k, v in cases.case_columns(attempt.case).items() if k in COLUMNS},
        "plain": tuning.plain.id,
        **({"case": None} if attempt.reason else {}),  # nothing was trained
        "what": what,
        "lever": attempt.lever if several else name,
        "setting": None if several else setting or None,
        "on_top_of": " + ".join(_below(tuning, attempt)) if what == ADDED else None,
        "in_stack": what == STACK or attempt.lever in tuning.stack,
        "status": "not possible here",
        "reason": attempt.reason or None,
        "note": attempt.note or None,
        "environment": " ".join(f"{k}={v}" for k, v in attempt.environment.items()) or None,
    }
    if isinstance(outcome, Failure):
        return row | {"status": outcome.kind, "reason": outcome.message}
    return row if outcome is None else row | _measured(outcome, run)


def _below(tuning: Tuning, attempt: Attempt) -> list[str]:
    """The levers of the stack that had been taken before."""
    added = [a for a in tuning.attempts if a.reference != tuning.plain]
    before = [a.lever for a in added[: added.index(attempt)]]
    taken = [lever for lever in tuning.stack[1:] if lever in before]
    return [*tuning.stack[:1], *taken]


def _measured(m: Measurement, run: Run) -> dict[str, Any]:
    speedup = cases.speedup_columns(m, run)
    return {
        **{name: value for name, value in speedup.items() if name in COLUMNS},
        "status": "measured",
        "compared_by": "fit" if stats.by_fit(m) else "steps",
        "first_step_s": _first_step(m, "case"),
        "first_step_plain_s": _first_step(m, "reference"),
        "pays_after_steps": pays_after_steps(m),
        "peak_rss_mib": _peak_mib(m, "case"),
        "peak_rss_plain_mib": _peak_mib(m, "reference"),
        **loss_columns(m, run),
        "cautions": SEPARATOR.join(map(str, cases.doubts(m, run))),
    }


def worth(m: Measurement) -> bool:
    """Whether a lever is taken: shown to be faster at all, and not to change what is learned.

    At quick effort, which has no intervals, faster by more than the margin of verdicts.
    """
    estimate, loss = stats.speedup(m), loss_difference(m)
    if loss is not None and loss_verdict(loss) == "differs":
        return False
    return estimate.value > 1 + stats.MARGIN if estimate.low is None else estimate.low > 1


def loss_columns(m: Measurement, run: Run) -> dict[str, Any]:
    """The losses of both sides after equal steps, and how they differ."""
    loss = loss_difference(m)
    return {
        "loss": _mean(_losses(m, "case")),
        "loss_plain": _mean(_losses(m, "reference")),
        "loss_difference": loss and loss.value,
        "loss_low": loss and loss.low,
        "loss_high": loss and loss.high,
        "loss_verdict": None if run.protocol.effort == "quick" else loss_verdict(loss),
        "early_steps": next((s.early_steps for s in m.starts if s.early_steps), None),
    }


def loss_difference(m: Measurement) -> Estimate | None:
    """How far the loss after equal steps lies from the reference's, as a share of it."""
    pairs = zip(_losses(m, "case"), _losses(m, "reference"), strict=True)
    shares = [(here - there) / abs(there) for here, there in pairs if there]
    return stats.interval(shares) if shares else None


def loss_verdict(difference: Estimate | None) -> LossVerdict | None:
    """Whether what is learned in equal steps is the same within the margin."""
    if difference is None:
        return None
    if difference.n == 1 and abs(difference.value) <= _SAME:
        return "same"  # the same arithmetic: no other block was asked
    if difference.low is None or difference.high is None:
        return None
    if difference.low >= -LOSS_MARGIN and difference.high <= LOSS_MARGIN:
        return "same"
    outside = difference.low > LOSS_MARGIN or difference.high < -LOSS_MARGIN
    return "differs" if outside else "not shown"


def _losses(m: Measurement, role: Role) -> list[float]:
    """One a block, in their order."""
    found = {s.block: s.early_loss for s in m.starts if s.role == role}
    return [loss for _, loss in sorted(found.items()) if loss is not None]


def pays_after_steps(m: Measurement) -> int | None:
    """Steps after which a slower first step is made up for; None where it never is.

    The extra seconds of the first execution beyond what its steps take later, over the seconds
    that each later step saves.
    """
    here, there = _step(m, "case"), _step(m, "reference")
    if here >= there:
        return None
    extra = _first_step(m, "case") - m.case.steps_per_execution * here
    extra -= _first_step(m, "reference") - m.reference.steps_per_execution * there
    return max(0, round(extra / (there - here)))


def _step(m: Measurement, role: Role) -> float:
    """Seconds a step, the median over blocks; of a `fit` where that is compared."""
    if stats.by_fit(m):
        batch = (m.case if role == "case" else m.reference).batch_size
        its = [s.fit.later_sample_seconds * batch for s in m.starts if s.role == role and s.fit]
    else:
        workers = rounds.by_worker(m)
        its = [
            statistics.median(rounds.step_seconds(r))
            for (r_, _), r in workers.items()
            if r_ == role
        ]
    return statistics.median(its)


def _first_step(m: Measurement, role: Role) -> float:
    return statistics.median(s.first_step_seconds for s in m.starts if s.role == role)


def _peak_mib(m: Measurement, role: Role) -> float:
    return max(s.peak_rss_bytes for s in m.starts if s.role == role) / 2**20


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
