"""The table of settings: what each brings alone and on top of others, and the best combination."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness import units
from harness.analyze import levers, stats
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import Caution
from harness.analyze.levers import LOSS_MARGIN, LossVerdict
from harness.analyze.verdicts import Verdict, judge
from harness.records import Attempt, Estimate, Failure, Measurement, Outcome, Tuning
from harness.tables.declare import (
    Chart,
    Column,
    Limit,
    Table,
    common,
    differing,
    ends,
    given,
    speedup_of,
    words,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALONE, ADDED, STACK = "alone", "added", "stack"
_MOST_BARS = 32  # so many are tried alone and on top of others


@dataclasses.dataclass(frozen=True, slots=True)
class LeverRow:
    """One attempt; `plain` in a name means the case without the setting."""

    plain: str
    case: str | None
    variant: str
    dataset: str
    batch_size: int
    backend: str
    device: str
    threads: int
    what: str
    lever: str
    setting: str | None
    on_top_of: str | None
    in_stack: bool
    status: str
    reason: str | None
    note: str | None
    speedup: Estimate | None = ends("low", "high")
    blocks: int | None = None
    verdict: Verdict | None = None
    smallest_visible: float | None = None
    compared_by: str | None = None
    first_step_s: float | None = None
    first_step_plain_s: float | None = None
    pays_after_steps: int | None = None
    peak_rss_mib: float | None = None
    peak_rss_plain_mib: float | None = None
    loss: float | None = None
    loss_plain: float | None = None
    loss_difference: Estimate | None = ends("loss_low", "loss_high")
    loss_verdict: LossVerdict | None = None
    early_steps: int | None = None
    environment: str | None = None
    cautions: tuple[Caution, ...] = ()


def _rows(analysis: Analysis) -> list[LeverRow]:
    """Each setting alone, then those that were tried on top of others, then the combination."""
    found = {outcome.key: outcome for outcome in analysis.run.outcomes}
    return [
        _row(tuning, attempt, what, found.get(attempt.key), analysis)
        for tuning in analysis.run.tunings
        for attempt, what in _attempts(tuning)
        if attempt.reason or attempt.key in found
    ]


def _attempts(tuning: Tuning) -> list[tuple[Attempt, str]]:
    its = [(a, ALONE if a.reference == tuning.plain else ADDED) for a in tuning.attempts]
    its.sort(key=lambda pair: (pair[1] == ADDED, bool(pair[0].reason)))
    if tuning.stacked is not None and tuning.stack:
        whole = Attempt(" + ".join(tuning.stack), tuning.stacked, tuning.plain)
        its.append((whole, STACK))
    return its


def _row(
    tuning: Tuning, attempt: Attempt, what: str, outcome: Outcome | None, analysis: Analysis
) -> LeverRow:
    name, _, setting = attempt.lever.partition("=")
    several = what == STACK or "+" in attempt.lever
    case = attempt.case
    row = LeverRow(
        plain=tuning.plain.id,
        case=None if attempt.reason else case.id,  # with a reason nothing was trained
        variant=case.variant,
        dataset=case.dataset,
        batch_size=case.batch_size,
        backend=case.backend,
        device=case.device,
        threads=case.threads,
        what=what,
        lever=attempt.lever if several else name,
        setting=None if several else setting or None,
        on_top_of=" + ".join(_below(tuning, attempt)) if what == ADDED else None,
        in_stack=what == STACK or attempt.lever in tuning.stack,
        status="not possible here",
        reason=attempt.reason or None,
        note=attempt.note or None,
        environment=" ".join(f"{k}={v}" for k, v in attempt.environment.items()) or None,
    )
    if isinstance(outcome, Failure):
        return dataclasses.replace(row, status=outcome.kind, reason=outcome.message)
    return row if outcome is None else _measured(row, outcome, analysis)


def _below(tuning: Tuning, attempt: Attempt) -> list[str]:
    """The settings that were kept before this one was tried."""
    added = [a for a in tuning.attempts if a.reference != tuning.plain]
    before = [a.lever for a in added[: added.index(attempt)]]
    kept = [lever for lever in tuning.stack[1:] if lever in before]
    return [*tuning.stack[:1], *kept]


def _measured(row: LeverRow, m: Measurement, analysis: Analysis) -> LeverRow:
    judged, losses = judge(m, analysis), levers.losses(m, analysis.run)
    return dataclasses.replace(
        row,
        status="measured",
        speedup=judged.speedup,
        blocks=judged.blocks,
        verdict=judged.verdict,
        smallest_visible=judged.smallest_visible,
        compared_by="fit" if stats.by_fit(m) else "steps",
        first_step_s=levers.first_step_seconds(m, "case"),
        first_step_plain_s=levers.first_step_seconds(m, "reference"),
        pays_after_steps=levers.pays_after_steps(m),
        peak_rss_mib=levers.peak_mib(m, "case"),
        peak_rss_plain_mib=levers.peak_mib(m, "reference"),
        loss=losses.case,
        loss_plain=losses.reference,
        loss_difference=losses.difference,
        loss_verdict=losses.verdict,
        early_steps=losses.steps,
        cautions=tuple(analysis.roles.cautions(m)),
    )


def _lever(row: LeverRow) -> str:
    setting = "" if row.setting is None else f" {row.setting}"
    if row.what == ADDED:
        return f"+ {row.lever}{setting}"
    return f"all: {row.lever}" if row.what == STACK else f"{row.lever}{setting}"


def _loss(row: LeverRow) -> str:
    if row.loss_difference is None:
        return units.MISSING
    shown = f"{100 * row.loss_difference.value:+.1f} %"
    return f"{shown} !" if row.loss_verdict == "differs" else shown


def _break_even(row: LeverRow) -> str:
    if row.status != "measured":
        return units.MISSING
    return "never" if row.pays_after_steps is None else units.count(row.pays_after_steps)


def _notes(rows: Sequence[LeverRow]) -> Iterator[str]:
    if any(row.what == ADDED for row in rows):
        yield "+ on top of the settings kept before; kept where the whole interval is above 1 again"
    steps = sorted({row.early_steps for row in rows if row.early_steps is not None})
    if steps:
        yield (
            f"loss: change after {' or '.join(map(str, steps))} steps from the same weights; "
            f"! more than {100 * LOSS_MARGIN:.0f} %: the setting changes what is learned"
        )
    if any(row.pays_after_steps is not None for row in rows):
        yield "break-even: steps after which a slower first step is made up for"
    if any(row.compared_by == "fit" for row in rows):
        yield "by fit: compared by Model.fit, since the setting changes how batches are fed"
    for row in rows:
        if row.what == ALONE and row.status != "measured":
            yield f"{_lever(row)}: {row.reason}"
    for row in rows:
        if row.note and row.what == ALONE:
            yield f"{_lever(row)}: {row.note}"


_TUNED = ("variant", "batch_size", "device", "backend")


def _draw(rows: list[LeverRow], caption: str) -> "Figure":
    """A bar per setting: alone, the fastest first; on top of others as tried; the combination."""
    from harness.tables import drawing

    alone = [row for row in rows if row.what == ALONE]
    shown = [row for row in alone if row.in_stack or row.verdict in {"faster", "slower", None}]
    if shown:
        caption = "; ".join(filter(None, (caption, _left_out(alone, shown))))
    else:
        shown = alone
    ordered = sorted(shown, key=_speed, reverse=True) + [r for r in rows if r.what != ALONE]
    bars = [
        drawing.Bar(
            ", ".join(filter(None, (_name(row), words(row, differing(rows, _TUNED))))),
            row.speedup,
            row.verdict,
            ", changes what is learned" if row.loss_verdict == "differs" else "",
            best=row.in_stack and row.what != ADDED,
        )
        for row in ordered
        if row.speedup is not None
    ]
    subtitle = "Speedup over the unmodified case; +: on top of those kept before"
    return drawing.speedup_bars(
        bars, _finding(rows), f"{subtitle}; {common(rows, _TUNED)}", caption
    )


def _speed(row: LeverRow) -> float:
    return 0.0 if row.speedup is None else row.speedup.value


def _left_out(alone: Sequence[LeverRow], shown: Sequence[LeverRow]) -> str:
    names = [_lever(row) for row in alone if row not in shown]
    return f"not drawn, no difference shown: {', '.join(dict.fromkeys(names))}" if names else ""


def _name(row: LeverRow) -> str:
    if row.what == STACK:
        return "all kept together"
    compiler = "Inductor" if row.backend == "torch" else "XLA"
    return (
        f"{compiler} ({_lever(row)})" if row.lever == "jit" and row.what == ALONE else _lever(row)
    )


def _finding(rows: Sequence[LeverRow]) -> str:
    stacks = [row for row in rows if row.what == STACK and row.speedup is not None]
    if not stacks:
        return "No combination of settings was measured"
    best = max(stacks, key=_speed)
    return f"Best combination: {units.ratio(_speed(best))} with {best.lever}"


LEVERS = Table(
    name="levers",
    title="Settings: speedup over the unmodified case, and the best combination",
    row=LeverRow,
    rows=_rows,
    columns=(
        Column("variant", lambda row: row.variant, numeric=False, shared=True),
        Column("batch", lambda row: str(row.batch_size), shared=True),
        Column("device", lambda row: row.device, numeric=False, shared=True),
        Column("backend", lambda row: row.backend, numeric=False, shared=True, usual="tensorflow"),
        Column("setting", _lever, numeric=False),
        Column("speedup [95 %]", lambda row: speedup_of(row.speedup)),
        Column(
            "verdict",
            lambda row: given(row.verdict) if row.status == "measured" else row.status,
            numeric=False,
            verdict=lambda row: row.verdict,
        ),
        Column("kept", lambda r: "yes" if r.in_stack else "no", numeric=False, rank=2, usual="no"),
        Column("change of loss", _loss, rank=1),
        Column("first step (s)", lambda row: given(row.first_step_s, units.digits), rank=4),
        Column("break-even (steps)", _break_even, rank=3),
        Column("peak MiB", lambda row: given(row.peak_rss_mib, "{:.0f}".format), rank=4),
        Column("by", lambda row: given(row.compared_by), numeric=False, rank=5, usual="steps"),
        Column("blocks", lambda row: given(row.blocks), rank=3),
    ),
    notes=_notes,
    name_of=_lever,
    chart=Chart(_draw, (Limit(_MOST_BARS, "settings"),), shows=lambda row: row.speedup is not None),
)
