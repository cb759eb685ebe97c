"""One Table, built once from a summary; `formats` writes it, `columns` say what is in it."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze.cautions import RANDOM_DATA
from harness.analyze.cautions import SEPARATOR as CAUTION_SEPARATOR
from harness.records import Case, Run

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Plain text, ready for any format.

    Attributes:
        title: One line.
        columns: Headings, units included.
        rows: Cells as text, one tuple a row.
        numeric: Which columns are aligned to the right.
        ranks: 0 for a column that is always shown; where there is no room the
            highest go first.
        notes: What a reader must know of single cells, a line each.
        doubts: Cautions and failures, a line each.
        caption: Machine and protocol; the same for every table of a run.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    ranks: tuple[int, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    caption: str


def build(name: str, frame: "pd.DataFrame", run: Run) -> Table:
    """Build the table of that name from its summary."""
    from harness.tables.columns import COLUMNS, TITLES, notes, selected  # these need pandas

    rows, all_rows = selected(name, rows_of(frame)), len(frame)
    hidden = all_rows - len(rows)
    left_out = [f"{hidden} more row{'s' if hidden > 1 else ''} in the file"] if hidden else []
    columns, cells, shared = [], [], []
    for column in COLUMNS[name]:
        texts = [column.cell(row) for row in rows]
        values = set(texts)
        if values <= {units.MISSING, column.usual}:
            continue
        if column.shared and len(values) == 1 and len(rows) > 1:
            shared.append(f"{column.heading}: {values.pop()}")
        else:
            columns.append(column)
            cells.append(texts)
    plain = units.printable  # names come from users, messages from their models
    return Table(
        title=plain(TITLES[name] + (f" ({', '.join(shared)})" if shared else "")),
        columns=tuple(column.heading for column in columns),
        rows=tuple(zip(*(map(plain, texts) for texts in cells), strict=True)),
        numeric=tuple(column.numeric for column in columns),
        ranks=tuple(column.rank for column in columns),
        notes=tuple(map(plain, (*notes(name, rows), *left_out))),
        doubts=tuple(map(plain, _doubts(rows))),
        caption=plain(caption(run)),
    )


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """List the rows of a summary; what is missing is None."""
    return [
        {str(key): value for key, value in row.items()}
        for row in frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    ]


def caption(run: Run) -> str:
    """Dataset, machine, libraries and protocol: what a number needs beside it."""
    machine, cases = run.machine, _cases(run)
    paths = dict.fromkeys(case.dataset for case in cases)
    datasets = ", ".join(
        dict.fromkeys("random data" if path == RANDOM_DATA else Path(path).name for path in paths)
    )
    used = {case.backend for case in cases}
    libraries = ", ".join(
        f"{name} {version}"
        for name, version in machine.libraries.items()
        if name in used or name == "keras"
    )
    gpu = any(case.device == "gpu" for case in cases)
    devices = f"{machine.cpu}, {machine.usable_cpus} CPUs" + (f"; {machine.gpu}" if gpu else "")
    repeats = []
    if run.outcomes:
        repeats.append(
            f"{run.protocol.effort} effort, {run.protocol.blocks} blocks of fresh workers"
        )
    if run.trainings:
        seeds = len({training.recipe.case.seed for training in run.trainings})
        repeats.append(f"trained in full with {seeds} seed{'s' if seeds > 1 else ''}")
    steps = f", {run.protocol.steps} steps a round" if run.protocol.steps else ""
    return f"{datasets} on {devices}; {libraries}; {', '.join(repeats)}{steps}"


def _cases(run: Run) -> list[Case]:
    pairs = [*run.outcomes, *(training.recipe for training in run.trainings)]
    return [case for pair in pairs for case in (pair.case, pair.reference)]


def _doubts(rows: list[dict[str, Any]]) -> Iterator[str]:
    cases: dict[str, list[str]] = {}
    for row in rows:
        for text in filter(None, (row.get("cautions") or "").split(CAUTION_SEPARATOR)):
            cases.setdefault(text, []).append(str(row.get("change") or _name(row)))
    for text, where in cases.items():
        yield f"Caution: {text} [{', '.join(dict.fromkeys(where))}]"
    for row in rows:
        if row.get("case") and row.get("status") and row["reason"]:
            yield f"Failed: {row['case']}: {row['reason']}"


def _name(row: dict[str, Any]) -> str:
    return f"{row['variant']} {row['batch_size']}"
