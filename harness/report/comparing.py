"""Show runs compared with a reference run: what differs first, then the cases, slowest first."""

import json
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console

from harness import units
from harness.analyze.compare.gate import Gate
from harness.analyze.compare.run_diff import CaseRatio, Comparison
from harness.analyze.verdicts import MARGIN
from harness.records import Case, Estimate, to_json
from harness.report import formats
from harness.tables.text import TextTable

SCHEMA = 1
_ALWAYS_SHOWN = 3  # of the runs that are compared
_MOST_ROWS = 40
_MOST_NAMES = 12
_MARGIN = f"{100 * MARGIN:g} %"


def to_text(comparisons: Sequence[Comparison], gate: Gate | None) -> str:
    """Write everything as one JSON object; docs/measuring.md names its fields."""
    whole = {
        "schema": SCHEMA,
        "margin": MARGIN,
        "reference": comparisons[0].reference,
        "comparisons": to_json(list(comparisons)),
        "gate": to_json(gate),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def show(console: Console, comparisons: Sequence[Comparison], gate: Gate | None) -> None:
    """Print what differs, the table, what all cases share, what is missing, and the gate."""

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    first = comparisons[0]
    line(f"Reference: {first.reference}, {_when(first.started_at[0])}, {first.machines[0]}")
    for comparison in comparisons:
        line(
            f"Compared:  {comparison.run}, {_when(comparison.started_at[1])}, "
            f"{comparison.machines[1]}"
        )
        line(_differences(comparison))
    if any(comparison.cases for comparison in comparisons):
        console.print()
        console.print(formats.to_rich(table(comparisons), console.width, "with --json"))
    console.print()
    for comparison in comparisons:
        for text in _lines(comparison, f"{comparison.run}: " if len(comparisons) > 1 else ""):
            line(text)
    if gate:
        for text in _gate(gate):
            line(text)


def table(comparisons: Sequence[Comparison]) -> TextTable:
    """A row a case; of several runs, a column a run."""
    several = len(comparisons) > 1
    slowest: dict[Case, CaseRatio] = {}
    for row in sorted(
        (row for comparison in comparisons for row in comparison.cases),
        key=lambda row: row.judged.value,
    ):
        slowest.setdefault(row.case, row)
    rows = list(slowest.values())
    columns = _of_each(comparisons) if several else _of_one()
    cells = [tuple(cell(row) for _, _, _, cell in columns) for row in rows[:_MOST_ROWS]]
    kept = [i for i in range(len(columns)) if {row[i] for row in cells} != {units.MISSING}]
    return TextTable(
        title=f"Time of {comparisons[0].reference} over time of "
        f"{'each' if several else comparisons[0].run}, per sample; above 1 is faster",
        columns=tuple(columns[i][0] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in cells),
        numeric=tuple(columns[i][1] for i in kept),
        ranks=tuple(columns[i][2] for i in kept),
        notes=tuple(_notes(comparisons, len(rows))),
        doubts=(),
        caption="",
    )


_Column = tuple[str, bool, int, Callable[[CaseRatio], str]]
_JUDGES = {"time": "its time", "pair": "its pair"}


def _of_one() -> list[_Column]:
    return [
        ("case", False, 0, lambda row: row.name),
        ("ratio [interval]", True, 0, lambda row: _ratio(row.judged)),
        ("verdict", False, 0, _verdict),
        ("by", False, 1, lambda row: _JUDGES.get(row.judged_by or "", units.MISSING)),
        ("time [interval]", True, 2, lambda row: _ratio(row.time)),
        ("pair [interval]", True, 3, lambda row: _ratio(row.pair) if row.pair else units.MISSING),
        ("pair against", False, 3, lambda row: row.against or units.MISSING),
        ("reference s/sample", True, 4, lambda row: units.seconds(row.reference_seconds)),
        ("s/sample", True, 4, lambda row: units.seconds(row.seconds)),
    ]


def _of_each(comparisons: Sequence[Comparison]) -> list[_Column]:
    columns: list[_Column] = [("case", False, 0, lambda row: row.name)]
    for number, comparison in enumerate(comparisons):
        rank = max(0, number + 1 - _ALWAYS_SHOWN)  # narrow ones break their cells
        columns.append((comparison.run, False, rank, _cell_of(comparison)))
    return columns


def _cell_of(comparison: Comparison) -> Callable[[CaseRatio], str]:
    found = {row.case: row for row in comparison.cases}

    def cell(row: CaseRatio) -> str:
        here = found.get(row.case)
        if here is None:
            return units.MISSING
        by = " (pair)" if here.judged_by == "pair" else ""
        return f"{_ratio(here.judged)}\n{_verdict(here)}{by}"

    return cell


def _notes(comparisons: Sequence[Comparison], rows: int) -> Iterator[str]:
    found = [row for comparison in comparisons for row in comparison.cases]
    if any(row.judged_by for row in found):
        each = 100 * comparisons[0].confidence
        yield (
            f"interval: all of them together hold 95 %, each by itself {each:.4g} %; what an hour "
            "of the machine does to a time is part of it"
        )
        yield f"verdict: faster or slower where the whole interval lies {_MARGIN} or more from 1"
    if any(row.judged_by == "pair" for row in found):
        yield (
            "pair: the case's speedup against its own reference in one run over that in the "
            "other; the hour of the machine moves it less, and where nothing else differs it "
            "decides what time does not show: ratio and verdict are of it then"
        )
    reasons: dict[str, list[str]] = {}
    for row in found:
        if row.reason:
            reasons.setdefault(row.reason, []).append(row.name)
    for reason, names in reasons.items():
        which = list(dict.fromkeys(names))
        where = f" ({_few(which)})" if len(which) < len({row.name for row in found}) else ""
        yield f"not judged, or not by its pair: {reason}{where}"
    if rows > _MOST_ROWS:
        yield f"{rows - _MOST_ROWS} more cases, none slower than these: --json has all"


def _differences(comparison: Comparison) -> str:
    found = [
        f"{d.what} {d.reference or units.MISSING} → {d.other or units.MISSING}"
        for d in comparison.differences
    ]
    shown = "; ".join(found[:_MOST_NAMES])
    if len(found) > _MOST_NAMES:
        shown += f"; {len(found) - _MOST_NAMES} more (--json has all)"
    return f"Differs:   {shown or 'nothing that is recorded, but the hour'}"


def _lines(comparison: Comparison, begin: str) -> Iterator[str]:
    if comparison.together:
        yield (
            f"{begin}all {comparison.together.cases} cases together: "
            f"{_ratio(comparison.together.ratio)}, {_word(comparison.together.verdict)}: "
            "the machine's hour, or whatever else they share"
        )
    here, there = comparison.reference, comparison.run
    for names, what in (
        (comparison.newly_failed, f"failed in {there}, measured in {here}"),
        (comparison.no_longer_failed, f"failed in {here}, measured in {there}"),
        (comparison.failed_in_both, "failed in both"),
        (comparison.only_in_reference, f"only in {here}"),
        (comparison.only_in_run, f"only in {there}"),
        (comparison.ambiguous, "several files of that name in one run, matched by whole path"),
    ):
        if names:
            yield f"{begin}{what}: {_few(names)}"


def _gate(gate: Gate) -> Iterator[str]:
    share = f"{100 * gate.threshold:g} %"
    yield f"Slower by more than {share} is {gate.rule}."
    for one in gate.crossed:
        how = _ratio(one.ratio) if one.ratio else "newly failed"
        yield f"  {one.run}: {one.name}: {how}"
    if not gate.crossed:
        yield f"  none of {gate.judged} is"
    if gate.unjudged:
        yield f"  {gate.unjudged} could not be judged"
    if gate.sees_from is not None:
        slower = f"{100 * gate.sees_from:.0f} %"
        yield f"  sensitivity: half of them would be found from {slower} slower on"


def _ratio(estimate: Estimate) -> str:
    return units.ratio_interval(estimate.value, estimate.low, estimate.high)


def _verdict(row: CaseRatio) -> str:
    return _word(row.verdict) if row.verdict else "not judged"


def _word(verdict: str) -> str:
    return verdict


def _few(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return "; ".join(names[:_MOST_NAMES]) + (f"; {more} more (--json has all)" if more > 0 else "")


def _when(started_at: str) -> str:
    return started_at[:16].replace("T", " ")
