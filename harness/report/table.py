"""One Table, built once from a summary; `formats` writes it."""

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness import units
from harness.records import Run

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
        caption: Machine, protocol and n.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    caption: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cell: Callable[[dict[str, Any]], str]
    numeric: bool = True


TITLES = {
    "measurements": "Measurements",
    "batch_size_speedup": "Speedup by batch size, per sample",
    "model_size_speedup": "Speedup by model, per sample",
    "thread_speedup": "Speedup by CPU threads",
}


def _number(name: str, write: Callable[[float], str]) -> Callable[[dict[str, Any]], str]:
    return lambda row: units.MISSING if row.get(name) is None else write(row[name])


def _text(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: units.MISSING if row.get(name) is None else str(row[name])


def _speedup_cell(row: dict[str, Any]) -> str:
    return units.ratio_interval(row["speedup"], row["low"], row["high"])


VERDICTS = {"inconclusive": "no difference shown"}


def _verdict_cell(row: dict[str, Any]) -> str:
    if row["verdict"] is None:
        return "not judged"
    return VERDICTS.get(row["verdict"], str(row["verdict"]))


def _step_cell(row: dict[str, Any]) -> str:
    if row.get("step_us") is None:
        return units.MISSING
    text = units.digits(row["step_us"] / 1e3, 4)
    if row.get("step_us_low") is None:
        return text
    low, high = (units.digits(row[end] / 1e3) for end in ("step_us_low", "step_us_high"))
    return f"{text} [{low}, {high}]"


def _epoch_cell(row: dict[str, Any]) -> str:
    if row.get("epoch_s") is None:
        return units.MISSING
    mark = "" if row["epoch_s_source"] == "measured" else " p"
    return units.digits(row["epoch_s"]) + mark


_VARIANT = _Column("variant", _text("variant"), numeric=False)
_BATCH = _Column("batch", _text("batch_size"))
_DEVICE = _Column("device", _text("device"), numeric=False)
_REFERENCE = _Column("against", _text("reference"))
_SPEEDUP = _Column("speedup [95 % interval]", _speedup_cell)
_VERDICT = _Column("verdict", _verdict_cell, numeric=False)
_PUBLISHED = _Column("published", _number("published", units.ratio))
_BLOCKS = _Column("n", _text("blocks"))
_THREADS = _Column("threads", _text("threads"))

COLUMNS: dict[str, tuple[_Column, ...]] = {
    "measurements": (
        _VARIANT,
        _BATCH,
        _DEVICE,
        _THREADS,
        _Column("ms/step [95 %]", _step_cell),
        _Column("µs/sample", _number("sample_us", units.digits)),
        _Column("s/epoch", _epoch_cell),
        _Column("first s", _number("first_step_s", units.digits)),
        _Column("peak MiB", _number("peak_rss_mib", lambda v: f"{v:.0f}")),
        _Column("CPU %", _number("cpu_percent", lambda v: f"{v:.0f}")),
        _BLOCKS,
    ),
    "batch_size_speedup": (
        _VARIANT, _DEVICE, _BATCH, _REFERENCE, _SPEEDUP, _VERDICT, _PUBLISHED, _BLOCKS,
    ),
    "model_size_speedup": (
        _VARIANT,
        _DEVICE,
        _BATCH,
        _REFERENCE,
        _Column("fewer parameters", _number("parameter_ratio", units.ratio)),
        _Column("fewer MACs", _number("mac_ratio", units.ratio)),
        _SPEEDUP,
        _VERDICT,
        _PUBLISHED,
        _BLOCKS,
    ),
    "thread_speedup": (
        _VARIANT,
        _BATCH,
        _THREADS,
        _REFERENCE,
        _SPEEDUP,
        _Column("efficiency", _number("efficiency", lambda v: f"{100 * v:.0f} %")),
        _VERDICT,
        _BLOCKS,
    ),
}  # fmt: skip


def build(name: str, frame: "pd.DataFrame", run: Run) -> Table:
    """Build the table of that name from its summary."""
    columns = COLUMNS[name]
    rows = [
        {str(key): _present(value) for key, value in row.items()}
        for row in frame.to_dict(orient="records")
    ]
    return Table(
        title=TITLES[name],
        columns=tuple(column.heading for column in columns),
        rows=tuple(tuple(column.cell(row) for column in columns) for row in rows),
        numeric=tuple(column.numeric for column in columns),
        caption=caption(run) + _footnotes(name, rows),
    )


def caption(run: Run) -> str:
    """Machine, libraries and protocol: what a number needs beside it."""
    machine = run.machine
    libraries = ", ".join(
        f"{name} {machine.libraries[name]}"
        for name in ("tensorflow", "keras")
        if name in machine.libraries
    )
    return (
        f"{machine.cpu}, {machine.usable_cpus} CPUs; {libraries}; "
        f"{run.protocol.effort} effort, {run.protocol.blocks} blocks of fresh workers"
    )


def _present(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _footnotes(name: str, rows: list[dict[str, Any]]) -> str:
    notes = []
    if name == "measurements" and any(r.get("epoch_s_source") == "projected" for r in rows):
        notes.append("p: projected to a whole epoch from whole steps of Model.fit")
    floor = [
        r for r in rows if name != "measurements" and str(r["reference"]) == str(r[_axis(name)])
    ]
    notes += [
        f"noise floor ({row['variant']}, batch {row['batch_size']}, against itself): "
        f"{_speedup_cell(row)}"
        for row in floor
    ]
    return "".join(f"\n{note}" for note in notes)


def _axis(name: str) -> str:
    axes = {"batch_size_speedup": "batch_size", "model_size_speedup": "variant"}
    return axes.get(name, "threads")
