"""The table of settings: what each brings alone and on top of others, and the best combination."""

import dataclasses
from collections.abc import Iterator, Sequence

from harness import units
from harness.analyze import levers, stats
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import Caution
from harness.analyze.levers import LOSS_MARGIN, Losses
from harness.analyze.verdicts import HOPELESS, Judged, judge
from harness.records import Attempt, Case, Failure, Measurement, Outcome, Tuning
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns

ALONE, ADDED, STACK = "alone", "added", "stack"
_MOST_BARS = 32  # so many are tried alone and on top of others


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LeverRow:
    """One attempt; `plain` in a name means the case without the setting."""

    plain: str
    trained: str | None  # the id of the case; None where the setting is not possible here
    case: Case = columns("variant dataset batch_size backend device threads")
    what: str
    lever: str
    setting: str | None
    on_top_of: str | None
    in_stack: bool
    status: str
    reason: str | None
    note: str | None
    judged: Judged | None = columns(declare.JUDGED)
    compared_by: str | None = None
    first_step_s: float | None = None
    first_step_plain_s: float | None = None
    pays_after_steps: int | None = None
    peak_rss_mib: float | None = None
    peak_rss_plain_mib: float | None = None
    losses: Losses | None = columns(
        f"loss=case loss_plain=reference {declare.LOSS} early_steps=steps"
    )
    environment: str | None = None
    cautions: tuple[Caution, ...] = ()
    screened: bool = columns()  # whether its first block excluded a gain
    failed: str | None = columns()  # what a note says of a case that failed


def _rows(analysis: Analysis) -> list[LeverRow]:
    """Each setting alone, then those that were tried on top of others, then the combination."""
    found = {outcome.key: outcome for outcome in analysis.run.outcomes}
    return [
        _row(tuning, attempt, what, None if attempt.reason else found[attempt.key], analysis)
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
        trained=None if attempt.reason else case.id,
        case=case,
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
        failed = f"{case.id}: {outcome.message}"
        return dataclasses.replace(row, status=outcome.kind, reason=outcome.message, failed=failed)
    return row if outcome is None else _measured(row, outcome, analysis)


def _below(tuning: Tuning, attempt: Attempt) -> list[str]:
    """The settings that were kept before this one was tried."""
    added = [a for a in tuning.attempts if a.reference != tuning.plain]
    before = [a.lever for a in added[: added.index(attempt)]]
    kept = [lever for lever in tuning.stack[1:] if lever in before]
    return [*tuning.stack[:1], *kept]


def _measured(row: LeverRow, m: Measurement, analysis: Analysis) -> LeverRow:
    return dataclasses.replace(
        row,
        status="measured",
        judged=judge(m, analysis),
        compared_by="fit" if stats.by_fit(m) else "steps",
        first_step_s=levers.first_step_seconds(m, "case"),
        first_step_plain_s=levers.first_step_seconds(m, "reference"),
        pays_after_steps=levers.pays_after_steps(m),
        peak_rss_mib=levers.peak_mib(m, "case"),
        peak_rss_plain_mib=levers.peak_mib(m, "reference"),
        losses=levers.losses(m, analysis.run),
        cautions=tuple(analysis.roles.cautions(m)),
        screened=m.ended == "screened",
    )


def _lever(row: LeverRow) -> str:
    setting = "" if row.setting is None else f" {row.setting}"
    if row.what == ADDED:
        return f"+ {row.lever}{setting}"
    return f"all: {row.lever}" if row.what == STACK else f"{row.lever}{setting}"


def change_of_loss(losses: Losses | None) -> str:
    """Write the change of the loss in percent; `!` where what is learned differs."""
    if losses is None or losses.difference is None:
        return units.MISSING
    return f"{100 * losses.difference.value:+.1f} %" + (" !" if losses.verdict == "differs" else "")


def _break_even(row: LeverRow) -> str:
    if row.judged is None:
        return units.MISSING
    return "never" if row.pays_after_steps is None else units.count(row.pays_after_steps)


def _notes(rows: Sequence[LeverRow]) -> Iterator[str]:
    if any(row.what == ADDED for row in rows):
        yield "+ on top of the settings kept before; kept where the whole interval is above 1 again"
    steps = sorted({row.losses.steps for row in rows if row.losses and row.losses.steps})
    if steps:
        yield (
            f"loss: change after {' or '.join(map(str, steps))} steps from the same weights; "
            f"! more than {100 * LOSS_MARGIN:.0f} %: the setting changes what is learned"
        )
    if any(row.pays_after_steps is not None for row in rows):
        yield "break-even: steps after which a slower first step is made up for"
    if any(row.compared_by == "fit" for row in rows):
        yield "by fit: compared by Model.fit, since the setting changes how batches are fed"
    if screened := [_lever(row) for row in rows if row.screened]:
        yield (
            f"slower by more than {100 * HOPELESS:.0f} % in the first block, and not measured "
            f"further: {', '.join(screened)}"
        )
    for row in rows:
        if row.what == ALONE and row.status != "measured":
            yield f"{_lever(row)}: {row.reason}"
    for row in rows:
        if row.note and row.what == ALONE:
            yield f"{_lever(row)}: {row.note}"


_TUNED = ("variant", "batch_size", "device", "backend")


def _draw(rows: list[LeverRow], caption: str) -> drawing.Figure:
    """A bar per setting: alone, the fastest first; on top of others as tried; the combination."""
    alone = [row for row in rows if row.what == ALONE]
    differs = {"faster", "slower", None}
    shown = [r for r in alone if r.in_stack or (r.judged and r.judged.verdict in differs)]
    if shown:
        caption = "; ".join(filter(None, (caption, _left_out(alone, shown))))
    else:
        shown = alone
    ordered = sorted(shown, key=_speed, reverse=True) + [r for r in rows if r.what != ALONE]
    told = labels.differing(rows, _TUNED)
    bars = [
        drawing.Bar(
            ", ".join(filter(None, (_name(row), labels.words(row, told)))),
            row.judged.speedup,
            row.judged.verdict,
            ", changes what is learned" if row.losses and row.losses.verdict == "differs" else "",
            best=row.in_stack and row.what != ADDED,
        )
        for row in ordered
        if row.judged
    ]
    subtitle = "Speedup over the unmodified case; +: on top of those kept before"
    subtitle += f"; {labels.common(rows, _TUNED)}"
    return drawing.speedup_bars(bars, _finding(rows), subtitle, caption)


def _speed(row: LeverRow) -> float:
    return row.judged.speedup.value if row.judged else 0.0


def _left_out(alone: Sequence[LeverRow], shown: Sequence[LeverRow]) -> str:
    names = dict.fromkeys(_lever(row) for row in alone if row not in shown)
    why = "same, small difference or undecided"
    return f"not drawn ({why}): {', '.join(names)}" if names else ""


def _name(row: LeverRow) -> str:
    if row.what == STACK:
        return "all kept together"
    compiler = "Inductor" if row.case.backend == "torch" else "XLA"
    alone = row.lever == "jit" and row.what == ALONE
    return f"{compiler} ({_lever(row)})" if alone else _lever(row)


def _finding(rows: Sequence[LeverRow]) -> str:
    stacks = [row for row in rows if row.what == STACK and row.judged]
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
        Column("variant", "variant", numeric=False, shared=True),
        labels.BATCH,
        labels.DEVICE,
        labels.BACKEND,
        Column("setting", _lever, numeric=False),
        Column("speedup [95 %]", "judged.speedup", declare.speedup_of),
        declare.energy_column(),
        Column(
            "verdict",
            lambda row: row.judged.verdict if row.judged else row.status,
            numeric=False,
            verdict=lambda row: row.judged and row.judged.verdict,
        ),
        Column("kept", "in_stack", declare.yes_or_no, numeric=False, rank=2, usual="no"),
        Column("change of loss", "losses", change_of_loss, rank=1),
        Column("first step (s)", "first_step_s", units.digits, rank=4),
        Column("break-even (steps)", _break_even, rank=3),
        Column("peak MiB", "peak_rss_mib", "{:.0f}".format, rank=4),
        Column("by", "compared_by", numeric=False, rank=5, usual="steps"),
        Column("blocks", "judged.blocks", rank=3),
    ),
    notes=_notes,
    name_of=_lever,
    chart=Chart(_draw, (Limit(_MOST_BARS, "settings"),), shows=lambda row: row.judged is not None),
)
