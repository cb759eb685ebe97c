"""The page that ranks the runs of several machines."""

from collections.abc import Sequence
from pathlib import Path

from harness import units
from harness.analyze.compare import ranking
from harness.analyze.compare.ranking import RankedRow
from harness.errors import BadComparison
from harness.records import Run
from harness.report.html import page
from harness.tables.declare import Column, Table, flat, given, grouped, speedup_of, to_csv
from harness.tables.text import build


def _rate(row: RankedRow) -> str:
    rate = row.samples_per_s
    return units.digits(rate.value) + units.ends(rate.low, rate.high)


RANKING = Table(
    name="ranking",
    title="Runs, ranked",
    row=RankedRow,
    rows=lambda _: [],  # they come from several runs
    columns=(
        Column("rank", lambda row: str(row.rank)),
        Column("machine", lambda row: row.machine, numeric=False),
        Column("run", lambda row: row.run, numeric=False),
        Column("samples/s [95 %]", _rate),
        Column("relative to the fastest [interval]", lambda row: speedup_of(row.of_first)),
        Column("verdict", lambda r: given(r.verdict), numeric=False, verdict=lambda r: r.verdict),
        Column("mJ/sample", lambda r: given(r.joules_per_sample, lambda j: units.digits(1e3 * j))),
        Column("price per hour", lambda row: given(row.price_per_hour, "{:g}".format)),
        Column("price per million samples", lambda row: given(row.price_per_million, units.digits)),
    ),
)


def write(rows: Sequence[RankedRow], runs: Sequence[Run], path: Path) -> None:
    """Write the page, and its rows as a CSV file beside it.

    Raises:
        BadComparison: they cannot be written.
    """
    cases = enumerate(grouped(rows, lambda row: row.case).items(), start=1)
    tables = {f"case_{n}": build(name, RANKING.columns, its) for n, (name, its) in cases}
    ids = {run.id: run for run in runs}
    ordered = [ids[run] for run in ranking.order(rows)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.render_ranking(tables, ordered), encoding="utf-8")
        csv = to_csv(RANKING, (flat(RANKING, row) for row in rows))
        path.with_suffix(".csv").write_text(csv, encoding="utf-8")
    except OSError as error:
        raise BadComparison(f"cannot write {path}: {error.strerror}") from error
