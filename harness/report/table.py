"""One Table, built once from a summary; `formats` writes it."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import units
from harness.analyze.cautions import SEPARATOR as CAUTION_SEPARATOR
from harness.analyze.stats import MARGIN
from harness.analyze.summary import AXES
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


@dataclasses.dataclass(frozen=True, slots=True)
class _Column:
    """How a column is written.

    Attributes:
        heading: Its unit included.
        cell: From a row of the summary to text.
        numeric: Whether it is aligned to the right.
        rank: See `Table.ranks`.
        shared: Whether it moves to the title when all rows agree.
        usual: It is left out when all rows say this.
    """

    heading: str
    cell: Callable[[dict[str, Any]], str]
    numeric: bool = True
    rank: int = 0
    shared: bool = False
    usual: str = units.MISSING


TITLES = {
    "measurements": "Measurements",
    "batch_size_speedup": "Speedup by batch size, per sample",
    "model_size_speedup": "Speedup by model, per sample, at the same batch size",
    "device_speedup": "Speedup by device, per sample",
    "device_crossover": "Batch size from which the GPU is as fast as the CPU",
    "device_break_even": "When the GPU has made up for its slower start",
    "backend_speedup": "Speedup by Keras backend, per sample",
    "thread_speedup": "Speedup by CPU threads",
}


def _number(name: str, write: Callable[[float], str]) -> Callable[[dict[str, Any]], str]:
    return lambda row: units.MISSING if row.get(name) is None else write(row[name])


def _text(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: units.MISSING if row.get(name) is None else str(row[name])


def _speedup_cell(row: dict[str, Any]) -> str:
    return units.ratio_interval(row["speedup"], row["low"], row["high"])


_MARGIN = f"{100 * MARGIN:g} %"
VERDICTS = {"inconclusive": "no difference shown"}


def _verdict_cell(row: dict[str, Any]) -> str:
    if row["noise_floor"]:
        return "noise floor"
    if row["verdict"] is None:
        return units.MISSING
    return VERDICTS.get(row["verdict"], str(row["verdict"]))


def _step_cell(row: dict[str, Any]) -> str:
    if row.get("step_us") is None:
        return units.MISSING
    text = units.digits(row["step_us"] / 1e3, 4)
    if row.get("step_us_low") is None:
        return text
    low, high = (units.digits(row[end] / 1e3) for end in ("step_us_low", "step_us_high"))
    return f"{text} [{low}, {high}]"


_EPOCH_MARKS = {
    "projected from fit": ("", "s/epoch: projected from a timed part of Model.fit"),
    "measured": (" m", "m: measured whole"),
    "projected from steps": (" s", "s: projected from the step time, without what Model.fit adds"),
}


def _epoch_cell(row: dict[str, Any]) -> str:
    if row.get("epoch_s") is None:
        return units.MISSING
    text = units.digits(row["epoch_s"])
    if row.get("epoch_s_low") is not None:
        low, high = (units.digits(row[end]) for end in ("epoch_s_low", "epoch_s_high"))
        text += f" [{low}, {high}]"
    return text + _EPOCH_MARKS[row["epoch_s_source"]][0]


def _epoch_speedup_cell(row: dict[str, Any]) -> str:
    if row["epoch_speedup"] is None:
        return units.MISSING
    return units.ratio_interval(row["epoch_speedup"], row["epoch_low"], row["epoch_high"])


def _crossover_cell(row: dict[str, Any]) -> str:
    return _open_interval(row["batch_size"], row["low"], row["high"])


def _break_even_cell(row: dict[str, Any]) -> str:
    return _open_interval(row["pays_after_steps"], row["low"], row["high"])


def _open_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Write a count with its interval, of which an end may be missing."""
    if value is None:
        return units.MISSING
    if low is None and high is None:
        return _about(value)
    return f"{_about(value)} [{_about(low)}, {_about(high)}]"


def _about(value: float | None) -> str:
    return units.count(value) if value is None or value >= 100 else units.digits(value, 2)


_VARIANT = _Column("variant", _text("variant"), numeric=False)
_BATCH = _Column("batch", _text("batch_size"), shared=True)
_DEVICE = _Column("device", _text("device"), numeric=False, shared=True)
_BACKEND = _Column("backend", _text("backend"), numeric=False, shared=True, usual="tensorflow")
_REFERENCE = _Column("against", _text("reference"), shared=True)
_SPEEDUP = _Column("speedup [95 %]", _speedup_cell)
_VERDICT = _Column("verdict", _verdict_cell, numeric=False)
_PUBLISHED = _Column("published", _number("published", units.ratio), rank=2)
_BLOCKS = _Column("blocks", _text("blocks"), rank=3)
_THREADS = _Column("threads", _text("threads"))

COLUMNS: dict[str, tuple[_Column, ...]] = {
    "measurements": (
        _VARIANT,
        _Column("batch", _text("batch_size")),
        _Column("optimizer", _text("optimizer"), numeric=False, rank=4),
        _DEVICE,
        _Column("threads", _text("threads"), shared=True),
        _Column("ms/step [95 %]", _step_cell),
        _Column("µs/sample", _number("sample_us", units.digits), rank=1),
        _Column("s/epoch [95 %]", _epoch_cell, rank=2),
        _Column("published", _number("published_epoch_s", units.digits), rank=4),
        _Column("first step s", _number("first_step_s", units.digits), rank=5),
        _Column("peak MiB", _number("peak_rss_mib", lambda v: f"{v:.0f}"), rank=3),
        _Column("CPU %", _number("cpu_percent", lambda v: f"{v:.0f}"), rank=3),
        _Column("GPU %", _number("gpu_percent", lambda v: f"{v:.0f}"), rank=2),
        _Column("GPU MiB", _number("gpu_memory_mib", lambda v: f"{v:.0f}"), rank=3),
        _Column("W", _number("gpu_power_w", lambda v: f"{v:.0f}"), rank=4),
        _Column("mJ/sample", _number("joules_per_sample", lambda v: units.digits(1e3 * v)), rank=3),
        _BACKEND,
        _BLOCKS,
    ),
    "batch_size_speedup": (
        _VARIANT, _BACKEND, _DEVICE, _BATCH, _REFERENCE, _SPEEDUP, _VERDICT, _PUBLISHED, _BLOCKS,
    ),
    "model_size_speedup": (
        _VARIANT,
        _BACKEND,
        _DEVICE,
        _BATCH,
        _REFERENCE,
        _Column("fewer params", _number("parameter_ratio", units.ratio)),
        _Column("fewer MACs", _number("mac_ratio", units.ratio)),
        _SPEEDUP,
        _VERDICT,
        _PUBLISHED,
        _BLOCKS,
    ),
    "device_speedup": (
        _VARIANT,
        _BACKEND,
        _BATCH,
        _Column("device", _text("device_name"), numeric=False, shared=True),
        _Column("against", _text("reference"), shared=True),
        _SPEEDUP,
        _VERDICT,
        _Column("epoch speedup", _epoch_speedup_cell, rank=3),
        _PUBLISHED,
        _BLOCKS,
    ),
    "device_crossover": (
        _VARIANT,
        _BACKEND,
        _Column("from batch", _crossover_cell),
        _Column("sizes measured", _text("sizes"), shared=True),
        _Column("remark", lambda row: row["reason"] or units.MISSING, numeric=False),
    ),
    "device_break_even": (
        _VARIANT,
        _BACKEND,
        _BATCH,
        _Column("ready s, GPU", _number("ready_s", units.digits), rank=1),
        _Column("ready s, CPU", _number("reference_ready_s", units.digits), rank=1),
        _Column("pays after steps", _break_even_cell),
        _Column("epochs", _number("pays_after_epochs", units.digits)),
        _Column("remark", lambda row: row["reason"] or units.MISSING, numeric=False),
        _BLOCKS,
    ),
    "backend_speedup": (
        _VARIANT,
        _DEVICE,
        _BATCH,
        _Column("backend", _text("backend"), numeric=False),
        _REFERENCE,
        _Column("jit", lambda row: "yes" if row["jit"] else "no", numeric=False, rank=2),
        _SPEEDUP,
        _VERDICT,
        _BLOCKS,
    ),
    "thread_speedup": (
        _VARIANT,
        _BACKEND,
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
    rows = [
        {str(key): value for key, value in row.items()}
        for row in frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    ]
    columns, shared = [], []
    for column in COLUMNS[name]:
        values = {column.cell(row) for row in rows}
        if values <= {units.MISSING, column.usual}:
            continue
        if column.shared and len(values) == 1 and len(rows) > 1:
            shared.append(f"{column.heading}: {values.pop()}")
        else:
            columns.append(column)
    return Table(
        title=TITLES[name] + (f" ({', '.join(shared)})" if shared else ""),
        columns=tuple(column.heading for column in columns),
        rows=tuple(tuple(column.cell(row) for column in columns) for row in rows),
        numeric=tuple(column.numeric for column in columns),
        ranks=tuple(column.rank for column in columns),
        notes=tuple(_notes(name, rows)),
        doubts=tuple(_doubts(rows)),
        caption=caption(run),
    )


def caption(run: Run) -> str:
    """Dataset, machine, libraries and protocol: what a number needs beside it."""
    machine = run.machine
    datasets = ", ".join(dict.fromkeys(Path(o.case.dataset).name for o in run.outcomes))
    used = {case.backend for o in run.outcomes for case in (o.case, o.reference)}
    libraries = ", ".join(
        f"{name} {version}"
        for name, version in machine.libraries.items()
        if name in used or name == "keras"
    )
    gpu = any(case.device == "gpu" for o in run.outcomes for case in (o.case, o.reference))
    devices = f"{machine.cpu}, {machine.usable_cpus} CPUs" + (f"; {machine.gpu}" if gpu else "")
    return (
        f"{datasets} on {devices}; {libraries}; "
        f"{run.protocol.effort} effort, {run.protocol.blocks} blocks of fresh workers"
        + (f", {run.protocol.steps} steps a round" if run.protocol.steps else "")
    )


def _doubts(rows: list[dict[str, Any]]) -> Iterator[str]:
    cases: dict[str, list[str]] = {}
    for row in rows:
        for text in filter(None, (row.get("cautions") or "").split(CAUTION_SEPARATOR)):
            cases.setdefault(text, []).append(f"{row['variant']} {row['batch_size']}")
    for text, where in cases.items():
        yield f"Caution: {text} [{', '.join(dict.fromkeys(where))}]"
    for row in rows:
        if row.get("status") and row["reason"]:
            yield f"Failed: {row['case']}: {row['reason']}"


def _notes(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    if name == "measurements":
        yield "a case is over all blocks that it took part in, a speedup over pairs within blocks"
        yield from _epoch_notes(rows)
        yield from _gpu_notes(rows)
    elif name == "device_crossover":
        yield "in brackets 95 %; log speedup is taken as linear in log batch size between two sizes"
    elif name == "device_break_even":
        yield (
            "in brackets 95 %; ready: from the start of a worker to the end of its first step, "
            "without the import of the framework"
        )
    else:
        yield from _speedup_notes(name, rows)


def _gpu_notes(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say where GPU figures are from, and why one is missing."""
    on_gpu = [row for row in rows if row["device"] == "gpu" and row["status"] == "measured"]
    for column, heading in (("gpu_memory", "GPU MiB"), ("gpu_power", "W, mJ/sample")):
        value = {"gpu_memory": "gpu_memory_mib", "gpu_power": "gpu_power_w"}[column]
        sources = {row[f"{column}_source"] for row in on_gpu if row[value] is not None}
        if sources:
            yield f"{heading}: {', '.join(sorted(sources))}"
    if any(row["gpu_percent"] is not None for row in on_gpu):
        yield "GPU %: NVML's share of time with a kernel running; not efficiency"
    missing = dict.fromkeys(
        text for row in on_gpu for text in (row["gpu_missing"] or "").split(CAUTION_SEPARATOR)
    )
    yield from (f"missing: {text}" for text in missing if text)


def _epoch_notes(rows: list[dict[str, Any]]) -> Iterator[str]:
    sources = {row.get("epoch_s_source") for row in rows}
    notes = [note for source, (_, note) in _EPOCH_MARKS.items() if source in sources]
    if notes:
        yield "; ".join(notes)
    if any(row.get("published_epoch_s") for row in rows):
        yield "published: s/epoch in the report that the variants come from, on its own machine"


def _named(row: dict[str, Any], axis: str) -> str:
    names = dict.fromkeys(str(row[name]) for name in ("variant", "batch_size", axis))
    return ", ".join(names)


def _speedup_notes(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    if name == "model_size_speedup":
        uncounted = {r["variant"]: r["macs_source"] for r in rows if r["macs_per_sample"] is None}
        yield from (f"MACs of {variant}: {why}" for variant, why in uncounted.items())
    unseen = [
        f"{100 * row['smallest_visible']:.0f} % ({_named(row, AXES[name])})"
        for row in rows
        if row["verdict"] == "inconclusive"
        and not row["noise_floor"]
        and row["smallest_visible"] is not None
    ]
    if any(row["verdict"] is not None for row in rows):
        yield f"verdict: faster or slower where the whole interval lies {_MARGIN} or more from 1"
    if unseen:
        yield (
            "no difference shown: in four of five such runs one of this size would have been: "
            + ", ".join(unseen)
        )
    if any(row["noise_floor"] for row in rows):
        yield "noise floor: the reference against itself; what lies within means nothing"
    if any(row.get("published") for row in rows):
        yield "published: from the report that the variants come from, on its own machine"
