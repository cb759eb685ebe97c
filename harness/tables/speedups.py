"""The tables of speedups along one axis: batch size, model, device, backend, threads."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness import units
from harness.analyze import cautions, epochs
from harness.analyze.analysis import Analysis
from harness.analyze.cases import quotient
from harness.analyze.cautions import Caution
from harness.analyze.verdicts import DEFINITION, Verdict, judge
from harness.records import Estimate, Measurement
from harness.tables.declare import Column, Table, ends, given, speedup_of

_JUDGED = ("speedup", "low", "high", "blocks", "verdict", "smallest_visible", "noise_floor")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpeedupRow:
    """One comparison along an axis; each table's CSV file has the columns that it names.

    Attributes:
        reference: The reference's value of the axis.
        efficiency: Speedup over the ratio of threads.
    """

    variant: str
    backend: str
    device: str
    threads: int
    batch_size: int
    jit: bool
    reference: str
    reference_jit: bool
    device_name: str
    reference_name: str
    parameters: int
    macs_per_sample: int | None
    macs_source: str
    parameter_ratio: float
    mac_ratio: float | None
    speedup: Estimate = ends("low", "high")
    blocks: int
    verdict: Verdict | None
    smallest_visible: float | None
    noise_floor: bool
    epoch_speedup: Estimate | None = ends("epoch_low", "epoch_high")
    efficiency: float
    published: float | None
    cautions: tuple[Caution, ...]


def row_of(m: Measurement, axis: str, analysis: Analysis) -> SpeedupRow:
    """Make the row of a comparison."""
    case, reference, facts, other = m.case, m.reference, m.facts, m.reference_facts
    judged = judge(m, analysis)
    return SpeedupRow(
        variant=case.variant,
        backend=case.backend,
        device=case.device,
        threads=case.threads,
        batch_size=case.batch_size,
        jit=case.jit,
        reference=str(getattr(reference, axis)),
        reference_jit=reference.jit,
        device_name=facts.device_name,
        reference_name=other.device_name,
        parameters=facts.parameters,
        macs_per_sample=facts.macs_per_sample,
        macs_source=facts.macs_source,
        parameter_ratio=other.parameters / facts.parameters,
        mac_ratio=quotient(other.macs_per_sample, facts.macs_per_sample),
        speedup=judged.speedup,
        blocks=judged.blocks,
        verdict=judged.verdict,
        smallest_visible=judged.smallest_visible,
        noise_floor=judged.noise_floor,
        epoch_speedup=epochs.speedup(m),
        efficiency=judged.speedup.value / (case.threads / reference.threads),
        published=judged.published,
        cautions=tuple(cautions.of_measurement(m, analysis.run.protocol)),
    )


def _rows(axis: str) -> Callable[[Analysis], list[SpeedupRow]]:
    def rows(analysis: Analysis) -> list[SpeedupRow]:
        found = [row_of(m, axis, analysis) for m in analysis.roles.compared(axis)]
        last = axis if axis in {"threads", "device", "backend"} else "variant"
        return sorted(found, key=lambda r: (r.variant, r.batch_size, getattr(r, last)))

    return rows


def verdict_of(row: Any) -> str:
    """Write the verdict; a reference against itself has none."""
    return "reference vs itself" if row.noise_floor else given(row.verdict)


def judged_notes(rows: Sequence[Any], name: Callable[[Any], str]) -> Iterator[str]:
    """Say how speedups are judged, and what an undecided one could have missed.

    Args:
        rows: Rows with the fields of `verdicts.Judged`.
        name: Tells a row from the others.
    """
    if any(row.verdict is not None for row in rows):
        yield f"verdict: {DEFINITION}"
    unseen = [
        f"{100 * row.smallest_visible:.0f} % ({name(row)})"
        for row in rows
        if row.verdict == "undecided" and not row.noise_floor and row.smallest_visible is not None
    ]
    if unseen:
        yield (
            "undecided: smallest difference that a run like this finds with 80 % probability: "
            + ", ".join(unseen)
        )
    if any(row.noise_floor for row in rows):
        yield "reference vs itself: the noise floor; its interval should contain 1"
    if any(row.published for row in rows):
        yield "published: from the report that the variants come from, on its own machine"


def _notes(axis: str) -> Callable[[Sequence[SpeedupRow]], Iterator[str]]:
    def name(row: SpeedupRow) -> str:
        values = (row.variant, row.batch_size, getattr(row, axis))
        return ", ".join(dict.fromkeys(map(str, values)))

    def notes(rows: Sequence[SpeedupRow]) -> Iterator[str]:
        if axis == "variant":
            uncounted = {r.variant: r.macs_source for r in rows if r.macs_per_sample is None}
            yield from (f"MACs of {variant}: {why}" for variant, why in uncounted.items())
        yield from judged_notes(rows, name)

    return notes


_VARIANT = Column[SpeedupRow]("variant", lambda r: r.variant, numeric=False)
_BACKEND = Column[SpeedupRow](
    "backend", lambda r: r.backend, numeric=False, shared=True, usual="tensorflow"
)
_DEVICE = Column[SpeedupRow]("device", lambda r: r.device, numeric=False, shared=True)
_BATCH = Column[SpeedupRow]("batch", lambda r: str(r.batch_size), shared=True)
_REFERENCE = Column[SpeedupRow]("reference", lambda r: r.reference, shared=True)
_SPEEDUP = Column[SpeedupRow]("speedup [95 %]", lambda r: speedup_of(r.speedup))
_VERDICT = Column[SpeedupRow](
    "verdict", verdict_of, numeric=False, verdict=lambda r: None if r.noise_floor else r.verdict
)
_PUBLISHED = Column[SpeedupRow]("published", lambda r: units.ratio(r.published), rank=2)
_BLOCKS = Column[SpeedupRow]("blocks", lambda r: str(r.blocks), rank=3)

BATCH_SIZE_SPEEDUP = Table(
    name="batch_size_speedup",
    title="Speedup by batch size, per sample",
    row=SpeedupRow,
    rows=_rows("batch_size"),
    csv=("variant", "backend", "device", "batch_size", "reference", *_JUDGED, "published",
         "cautions"),
    columns=(
        _VARIANT, _BACKEND, _DEVICE, _BATCH, _REFERENCE, _SPEEDUP, _VERDICT, _PUBLISHED, _BLOCKS,
    ),
    notes=_notes("batch_size"),
)  # fmt: skip
MODEL_SIZE_SPEEDUP = Table(
    name="model_size_speedup",
    title="Speedup by model, per sample, at the same batch size",
    row=SpeedupRow,
    rows=_rows("variant"),
    csv=("variant", "backend", "device", "batch_size", "reference", "parameters",
         "macs_per_sample", "macs_source", "parameter_ratio", "mac_ratio", *_JUDGED, "published",
         "cautions"),
    columns=(
        _VARIANT, _BACKEND, _DEVICE, _BATCH, _REFERENCE,
        Column("fewer params", lambda r: units.ratio(r.parameter_ratio)),
        Column("fewer MACs", lambda r: units.ratio(r.mac_ratio)),
        _SPEEDUP, _VERDICT, _PUBLISHED, _BLOCKS,
    ),
    notes=_notes("variant"),
)  # fmt: skip
DEVICE_SPEEDUP = Table(
    name="device_speedup",
    title="Speedup by device, per sample",
    row=SpeedupRow,
    rows=_rows("device"),
    csv=("variant", "backend", "threads", "batch_size", "device", "device_name", "reference",
         "reference_name", *_JUDGED, "epoch_speedup", "epoch_low", "epoch_high", "published",
         "cautions"),
    columns=(
        _VARIANT, _BACKEND, _BATCH,
        Column("device", lambda r: r.device_name, numeric=False, shared=True),
        _REFERENCE, _SPEEDUP, _VERDICT,
        Column("epoch speedup", lambda r: speedup_of(r.epoch_speedup), rank=3),
        _PUBLISHED, _BLOCKS,
    ),
    notes=_notes("device"),
)  # fmt: skip
BACKEND_SPEEDUP = Table(
    name="backend_speedup",
    title="Speedup by Keras backend, per sample",
    row=SpeedupRow,
    rows=_rows("backend"),
    csv=("variant", "device", "batch_size", "backend", "jit", "reference", "reference_jit",
         *_JUDGED, "cautions"),
    columns=(
        _VARIANT, _DEVICE, _BATCH,
        Column("backend", lambda r: r.backend, numeric=False),
        _REFERENCE,
        Column("jit", lambda r: "yes" if r.jit else "no", numeric=False, rank=2),
        _SPEEDUP, _VERDICT, _BLOCKS,
    ),
    notes=_notes("backend"),
)  # fmt: skip
THREAD_SPEEDUP = Table(
    name="thread_speedup",
    title="Speedup by CPU threads",
    row=SpeedupRow,
    rows=_rows("threads"),
    csv=("variant", "backend", "batch_size", "threads", "reference", "speedup", "low", "high",
         "efficiency", "blocks", "verdict", "smallest_visible", "noise_floor", "cautions"),
    columns=(
        _VARIANT, _BACKEND, _BATCH,
        Column("threads", lambda r: str(r.threads)),
        _REFERENCE, _SPEEDUP,
        Column("efficiency", lambda r: f"{100 * r.efficiency:.0f} %"),
        _VERDICT, _BLOCKS,
    ),
    notes=_notes("threads"),
)  # fmt: skip
