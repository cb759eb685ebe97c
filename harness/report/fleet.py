"""The ranked page of many machines."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze.compare import ranking
from harness.errors import BadComparison
from harness.records import Run
from harness.report import page
from harness.tables.declare import given
from harness.tables.text import TextTable

if TYPE_CHECKING:
    import pandas as pd


def write(frame: "pd.DataFrame", runs: Sequence[Run], path: Path) -> None:
    """Write the page, and the same as CSV beside it.

    Raises:
        BadComparison: they cannot be written.
    """
    tables = {
        f"case_{number}": _table(str(name), _rows_of(rows))
        for number, (name, rows) in enumerate(frame.groupby("case", sort=False), start=1)
    }
    ids = {run.id: run for run in runs}
    ordered = [ids[run] for run in ranking.order(frame)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.render_fleet(tables, ordered), encoding="utf-8")
        frame.to_csv(path.with_suffix(".csv"), index=False, lineterminator="\n")
    except OSError as error:
        raise BadComparison(f"cannot write {path}: {error.strerror}") from error


def _rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    known = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in known.to_dict(orient="records")]


def _table(name: str, rows: list[dict[str, Any]]) -> TextTable:
    headings = ("rank", "machine", "run", "samples/s [95 %]", "of the first [interval]", "verdict",
                "mJ/sample", "price an hour", "price a million samples")  # fmt: skip
    cells = [tuple(map(units.printable, _cells(row))) for row in rows]
    kept = [i for i in range(len(headings)) if {row[i] for row in cells} != {units.MISSING}]
    return TextTable(
        title=units.printable(name),
        columns=tuple(headings[i] for i in kept),
        rows=tuple(tuple(row[i] for i in kept) for row in cells),
        numeric=tuple(headings[i] not in ("machine", "run", "verdict") for i in kept),
        ranks=(0,) * len(kept),
        notes=(),
        doubts=(),
        caption="",
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    ends = row["samples_per_s_low"], row["samples_per_s_high"]
    between = "" if None in ends else f" [{', '.join(map(units.digits, ends))}]"
    joules, price, million = (
        row[name] for name in ("joules_per_sample", "price_per_hour", "price_per_million")
    )
    return (
        str(row["rank"]),
        row["machine"],
        row["run"],
        units.digits(row["samples_per_s"]) + between,
        units.ratio_interval(row["of_first"], row["of_first_low"], row["of_first_high"]),
        given(row["verdict"]),
        units.MISSING if joules is None else units.digits(1e3 * joules),
        units.MISSING if price is None else f"{price:g}",
        units.MISSING if million is None else units.digits(million),
    )
