"""The table of two versions: what is here against the same case at a commit, or elsewhere."""

import dataclasses
from collections.abc import Iterator, Sequence

from harness.analyze import levers
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import Caution
from harness.analyze.levers import LOSS_MARGIN, Losses
from harness.analyze.verdicts import Judged, judge, verdict
from harness.analyze.versions import changes
from harness.records import Case, Estimate, Measurement, Version
from harness.tables import declare, drawing, labels
from harness.tables.declare import Chart, Column, Limit, Table, columns, ends
from harness.tables.levers import change_of_loss
from harness.tables.text import judged_notes, verdict_of

_MOST_NAMED = 3  # of what differs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One case against the same case in another version."""

    case: Case = columns("variant dataset backend device threads batch_size version")
    differs: str | None
    reference: str
    judged: Judged = columns(f"{declare.JUDGED}")
    first_step_ratio: Estimate | None = ends("first_step_low", "first_step_high")
    first_step_verdict: str | None
    peak_memory_ratio: Estimate | None = ends("peak_memory_low", "peak_memory_high")
    peak_memory_verdict: str | None
    losses: Losses | None = columns(
        f"loss=case loss_reference=reference {declare.LOSS} early_steps=steps"
    )
    cautions: tuple[Caution, ...] = ()


def _rows(analysis: Analysis) -> list[VersionRow]:
    found = [m for m in analysis.roles.measured if changes.is_of_versions(m)]
    rows = [_row(m, analysis) for m in found]
    return sorted(rows, key=declare.key_of("variant", "backend", "device", "batch_size"))


def _row(m: Measurement, analysis: Analysis) -> VersionRow:
    judged = analysis.run.protocol.effort != "quick"
    first, memory = changes.first_step(m), changes.peak_memory(m)
    return VersionRow(
        case=m.case,
        differs=differs(analysis.run.version),
        reference=m.reference.version,
        judged=judge(m, analysis),
        first_step_ratio=first,
        first_step_verdict=changes.change(first) if judged else None,
        peak_memory_ratio=memory,
        peak_memory_verdict=changes.change(memory) if judged else None,
        losses=levers.losses(m, analysis.run),
        cautions=tuple(analysis.roles.cautions(m)),
    )


def differs(version: Version | None) -> str | None:
    """Say in a few words what differs; None where each row has another version."""
    if version is None:
        return None
    if not version.changes:
        return "nothing"
    named = [f"{one.name} {one.what}" for one in version.changes[:_MOST_NAMED]]
    more = len(version.changes) - _MOST_NAMED
    return "; ".join([*named, *([f"{more} more"] if more > 0 else [])])


def _change(ratio: Estimate | None, verdict: str | None) -> str:
    """Write a ratio as a change in percent."""
    if ratio is None:
        return declare.given(None)
    written = declare.interval_of(ratio.mapped(lambda r: 100 * (r - 1)), "{:+.0f}".format)
    value, _, interval = written.partition(" ")
    mark = " !" if verdict == "more" else ""
    return f"{value} %" + (f" {interval}" if interval else "") + mark


def _notes(rows: Sequence[VersionRow]) -> Iterator[str]:
    for text in dict.fromkeys(row.differs for row in rows if row.differs):
        yield f"differs from the reference: {text}"
    if any(row.judged.verdict is not None for row in rows):
        yield "first step, peak memory: change against the reference; ! shown to be more"
    steps = sorted({row.losses.steps for row in rows if row.losses and row.losses.steps})
    if steps:
        yield (
            f"loss: change after {' or '.join(map(str, steps))} steps from the same seed; "
            f"! more than {100 * LOSS_MARGIN:.0f} %: the change alters what is learned"
        )
    yield from judged_notes(rows, declare.case_name)


_LABEL = ("variant", "batch_size", "device", "backend", "version")


def _draw(rows: list[VersionRow], caption: str) -> drawing.Figure:
    """Draw a bar per row; of a single row its first step and its memory as well."""
    always = labels.differing(rows, _LABEL)
    bars = [
        drawing.Bar(
            labels.words(row, always) or "time per step", row.judged.speedup, row.judged.verdict
        )
        for row in rows
    ]
    if len(rows) == 1:
        (row,) = rows
        more = {
            "time of the first step": row.first_step_ratio,
            "peak memory": row.peak_memory_ratio,
        }
        bars += [_bar(name, ratio, row) for name, ratio in more.items() if ratio is not None]
    reference = rows[0].reference
    subtitle = f"{reference} over this version: above 1 this version is better"
    common = labels.common(rows, _LABEL[:-1])
    what = "reference over this version" if len(rows) == 1 else "speedup per sample"
    return drawing.speedup_bars(bars, _finding(rows), f"{subtitle}; {common}", caption, what=what)


def _bar(name: str, ratio: Estimate, row: VersionRow) -> drawing.Bar:
    better = ratio.inverse()
    return drawing.Bar(name, better, row.judged.verdict and verdict(better))


def _finding(rows: Sequence[VersionRow]) -> str:
    shown = [row for row in rows if row.judged.verdict in ("faster", "slower")]
    if not shown:
        return f"Nothing is shown to be faster or slower than at {rows[0].reference}"
    row = max(shown, key=lambda row: abs(1 - row.judged.speedup.value))
    return drawing.times(
        labels.words(row, ("variant", "batch_size")),
        row.judged.speedup.value,
        f"at {row.reference}",
    )


VERSION_SPEEDUP = Table(
    name="version_speedup",
    title="This version against the reference: speedup per sample, and what else changed",
    row=VersionRow,
    rows=_rows,
    csv="variant dataset backend device threads batch_size version differs reference speedup low "
    "high blocks verdict smallest_visible *",
    columns=(
        labels.VARIANT,
        labels.BACKEND,
        dataclasses.replace(labels.DEVICE, rank=1),
        labels.EACH_BATCH,
        dataclasses.replace(labels.VERSION, shared=False),
        labels.REFERENCE,
        Column("speedup [95 %]", "judged.speedup", declare.speedup_of),
        declare.energy_column(),
        Column(
            "verdict",
            verdict_of,
            numeric=False,
            verdict=lambda row: None if row.judged.noise_floor else row.judged.verdict,
        ),
        Column("first step", lambda r: _change(r.first_step_ratio, r.first_step_verdict), rank=2),
        Column(
            "peak memory", lambda r: _change(r.peak_memory_ratio, r.peak_memory_verdict), rank=1
        ),
        Column("loss", "losses", change_of_loss),
        Column("blocks", "judged.blocks", rank=3),
    ),
    notes=_notes,
    chart=Chart(
        _draw,
        limits=(Limit(declare.MOST_BARS, "comparisons"),),
        shows=lambda row: not row.judged.noise_floor,
    ),
)
