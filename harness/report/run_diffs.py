"""Show runs compared with a reference run: what differs first, then the cases, slowest first."""

import itertools
import json
from collections.abc import Iterator, Sequence

from rich.console import Console

from harness import units
from harness.analyze.compare.gate import Gate
from harness.analyze.compare.run_diff import CaseRatio, RunDiff
from harness.analyze.verdicts import DEFINITION, MARGIN
from harness.analyze.versions.gate import Gate as MemoryGate
from harness.records import Case, to_json
from harness.report import formats
from harness.report.pull_request import gates
from harness.tables.declare import Column, given, grouped, speedup_of
from harness.tables.text import TextTable, build

SCHEMA = 1
_ALWAYS_SHOWN = 3  # runs whose columns a narrow terminal keeps
_MOST_ROWS = 40
_MOST_NAMES = 12


def to_json_text(
    diffs: Sequence[RunDiff], gate: Gate | None, peaks: MemoryGate | None = None
) -> str:
    """Write everything as one JSON object; docs/formats.md names its fields."""
    whole = {"schema": SCHEMA, "margin": MARGIN, "reference": diffs[0].reference}
    whole |= {"comparisons": to_json(list(diffs)), "gate": to_json(gate)}
    whole |= {"more_memory": gates.document([peaks])[0] if peaks else None}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def show(console: Console, diffs: Sequence[RunDiff], told: Sequence[str]) -> None:
    """Print what differs, the table, what all cases share, what is missing, then other lines."""
    for text in differences(diffs):
        formats.say(console, text)
    if any(diff.cases for diff in diffs):
        console.print()
        console.print(formats.to_rich(table(diffs), console.width, "--json"))
    console.print()
    shared = (line for diff in diffs for line in _lines(diff, several=len(diffs) > 1))
    for text in (*shared, *told):
        formats.say(console, text)


def table(diffs: Sequence[RunDiff]) -> TextTable:
    """One row per case; with several runs, one column per run."""
    several = len(diffs) > 1
    slowest: dict[Case, CaseRatio] = {}
    found = (row for diff in diffs for row in diff.cases)
    for row in sorted(found, key=lambda row: row.judged.value):
        slowest.setdefault(row.case, row)
    rows = list(slowest.values())
    whose = f"{'each run' if several else diffs[0].run} over {diffs[0].reference}"
    columns = (_CASE, *map(_column_of, diffs, itertools.count(1))) if several else _OF_ONE
    title = f"Speedup of {whose}, per sample; above 1 is faster"
    return build(title, columns, rows[:_MOST_ROWS], notes=_notes(diffs, len(rows)))


def _verdict(row: CaseRatio) -> str:
    return row.verdict or "not judged"


_CASE = Column[CaseRatio]("case", lambda row: row.name, numeric=False)
_OF_ONE = (
    _CASE,
    Column[CaseRatio]("speedup [interval]", lambda row: speedup_of(row.judged)),
    Column[CaseRatio]("verdict", _verdict, numeric=False),
    Column[CaseRatio]("decided by", lambda row: given(row.judged_by), numeric=False, rank=1),
    Column[CaseRatio]("before", lambda row: units.seconds(row.reference_seconds), rank=2),
    Column[CaseRatio]("after", lambda row: units.seconds(row.seconds), rank=2),
    Column[CaseRatio]("time [interval]", lambda row: speedup_of(row.time), rank=3),
    Column[CaseRatio]("pair [interval]", lambda row: speedup_of(row.pair), rank=4),
    Column[CaseRatio]("control", lambda row: given(row.against), numeric=False, rank=4),
)


def _column_of(diff: RunDiff, number: int) -> Column[CaseRatio]:
    found = {row.case: row for row in diff.cases}

    def cell(row: CaseRatio) -> str:
        here = found.get(row.case)
        if here is None:
            return units.MISSING
        by = " (pair)" if here.judged_by == "pair" else ""
        return f"{speedup_of(here.judged)}\n{_verdict(here)}{by}"

    rank = max(0, number - _ALWAYS_SHOWN)
    return Column(diff.run, cell, numeric=False, rank=rank, breaks=True)


def _notes(diffs: Sequence[RunDiff], rows: int) -> Iterator[str]:
    found = [row for diff in diffs for row in diff.cases]
    if any(row.judged_by for row in found):
        how = f"Bonferroni-corrected (95 % jointly, {100 * diffs[0].confidence:.4g} % each)"
        yield f"intervals: {how}; they include machine drift between runs"
        yield f"verdict: {DEFINITION}"
    if any(row.judged_by == "pair" for row in found):
        yield (
            "pair: speedup of the case over its control, in one run relative to the other; drift "
            "slows case and control alike, so the pair decides where the time is not conclusive"
        )
    all_names = {row.name for row in found}
    for reason, its in grouped((row for row in found if row.reason), _reason).items():
        names = list(dict.fromkeys(row.name for row in its))
        yield reason + (f" ({_few(names)})" if len(names) < len(all_names) else "")
    if rows > _MOST_ROWS:
        yield f"{rows - _MOST_ROWS} more cases, none slower than these (see --json)"


def _reason(row: CaseRatio) -> str:
    what = f"decided by the {row.judged_by}" if row.judged_by else "no verdict"
    return f"{what}: {row.reason}"


def differences(diffs: Sequence[RunDiff]) -> Iterator[str]:
    """Name the runs, and what differs between them besides their times."""
    first, gone = diffs[0], units.MISSING
    yield f"Reference: {first.reference}, {_when(first.started_at[0])}, {first.machines[0]}"
    for diff in diffs:
        yield f"Compared:  {diff.run}, {_when(diff.started_at[1])}, {diff.machines[1]}"
        found = [f"{d.what} {d.reference or gone} → {d.other or gone}" for d in diff.differences]
        yield f"Differs:   {_few(found) or 'nothing recorded, only the time of the run'}"


def _lines(diff: RunDiff, *, several: bool) -> Iterator[str]:
    """Say what all cases of a run share, and which are missing or failed."""
    begin = f"{diff.run}: " if several else ""
    if diff.together:
        yield (
            f"{begin}all {diff.together.cases} cases together: {speedup_of(diff.together.ratio)}, "
            f"{diff.together.verdict} (machine drift, or a change that all cases share)"
        )
    here, there = diff.reference, diff.run
    for names, what in (
        (diff.newly_failed, f"failed in {there}, measured in {here}"),
        (diff.no_longer_failed, f"failed in {here}, measured in {there}"),
        (diff.failed_in_both, "failed in both"),
        (diff.only_in_reference, f"only in {here}"),
        (diff.only_in_run, f"only in {there}"),
        (diff.ambiguous, "several files of this name in one run, matched by whole path"),
    ):
        if names:
            yield f"{begin}{what}: {_few(names)}"


def gate_lines(gate: Gate) -> Iterator[str]:
    """Say whether a threshold was crossed, by what, and what would cross it."""
    yield f"Gate at {100 * gate.threshold:g} %: {gate.rule}."
    for one in gate.crossed:
        how = speedup_of(one.ratio) if one.ratio else "newly failed"
        yield f"  slower: {one.run}: {one.name}: {how}"
    if not gate.crossed:
        yield f"  passed: none of {gate.judged} is slower"
    if gate.unjudged:
        yield f"  {gate.unjudged} could not be judged"
    if gate.sees_from is not None:
        slower = units.percent(100 * gate.sees_from)
        yield f"  sensitivity: half of the cases fail only if they become {slower} slower, or more"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return "; ".join(names[:_MOST_NAMES]) + (f"; {more} more (see --json)" if more > 0 else "")


def _when(started_at: str) -> str:
    return started_at[:16].replace("T", " ")
