"""The page of many runs, and its tables, which the console shows as well."""

from pathlib import Path
from typing import Any

from harness import units
from harness.analyze.compare.fleet import Fleet, RankedRow, RunRow
from harness.analyze.verdicts import DEFINITION
from harness.errors import BadComparison
from harness.records import Estimate, to_json
from harness.report.html import page
from harness.tables.declare import Column, Table, flat, grouped, speedup_of, to_csv
from harness.tables.text import TextTable, build


def _rate(rate: Estimate) -> str:
    return units.digits(rate.value) + units.ends(rate.low, rate.high)


_CASE = Column[RankedRow]("case", "case", numeric=False)
_RANKED = (
    Column[RankedRow]("rank", "rank"),
    Column[RankedRow]("machine", "machine", numeric=False),
    Column[RankedRow]("runs", "runs", usual="1"),
    Column[RankedRow]("samples/s [80 % of runs]", "samples_per_s", _rate),
    Column[RankedRow]("relative to the fastest [interval]", "of_first", speedup_of, rank=1),
    Column[RankedRow]("verdict", "verdict", numeric=False, verdict=lambda row: row.verdict, rank=1),
    Column[RankedRow]("over control [80 % of runs]", "over_control", speedup_of, rank=2),
    Column[RankedRow]("rank over control", "control_rank", rank=4),
    Column[RankedRow](
        "GPU mJ/sample", "joules_per_sample", lambda j: units.digits(1e3 * j), rank=3
    ),
    Column[RankedRow]("price per hour", "price_per_hour", "{:g}".format, rank=3),
    Column[RankedRow]("price per million samples", "price_per_million", units.digits, rank=2),
)
_FILE = Table[RankedRow]("ranking", "Runs, ranked", RankedRow, lambda _: [], _RANKED)
_RUNS = (
    Column[RunRow]("run", "run", numeric=False),
    Column[RunRow]("machine", "machine", numeric=False),
    Column[RunRow]("relative to its kind", "of_kind", lambda ratio: f"{ratio:.3f}×"),
    Column[RunRow]("cases", "cases"),
    Column[RunRow]("started", lambda row: row.started_at[:16].replace("T", " "), numeric=False),
)


def ranking(fleet: Fleet) -> TextTable:
    """Return all cases as one table."""
    notes = [
        "machines of a kind are one row; relative to the fastest: throughput over that of the "
        "fastest kind; intervals are of the scatter between the runs of a kind, for one run of the "
        "drift of its machine (95 % jointly, Bonferroni)",
        f"verdict: {DEFINITION}",
    ]
    if fleet.control:
        over = f"over control: speedup over {fleet.control} in the same run"
        notes.append(f"{over}, which the drift of a machine affects less")
    return build("Machines, ranked in each case", (_CASE, *_RANKED), fleet.rows, notes=notes)


def document(fleet: Fleet) -> dict[str, Any]:
    """Return the rows as plain values; docs/formats.md names them."""
    return {
        "control": fleet.control,
        "ranking": [flat(_FILE, row) for row in fleet.rows],
        "runs": to_json(fleet.runs),
        "notes": fleet.notes,
    }


def write(fleet: Fleet, path: Path) -> None:
    """Write the page, and its rows as a CSV file beside it.

    Raises:
        BadComparison: they cannot be written.
    """
    cases = enumerate(grouped(fleet.rows, lambda row: row.case).items(), start=1)
    tables = {f"case_{n}": build(name, _RANKED, its) for n, (name, its) in cases}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        runs = build("Runs", _RUNS, fleet.runs)
        path.write_text(page.render_fleet(tables, runs, fleet), encoding="utf-8")
        csv = to_csv(_FILE, (flat(_FILE, row) for row in fleet.rows))
        path.with_suffix(".csv").write_text(csv, encoding="utf-8")
    except OSError as error:
        raise BadComparison(f"cannot write {path}: {error.strerror}") from error
