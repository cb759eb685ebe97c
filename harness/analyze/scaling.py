"""What more devices bring: Run → one row a comparison of several with one."""

import statistics
from typing import Any

import pandas as pd

from harness.analyze import legacy, roles
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import SEPARATOR
from harness.records import Measurement, Role

COLUMNS = [
    "case", "variant", "dataset", "backend", "device", "device_name", "threads", "kind",
    "replicas", "hosts", "batch_size", "batch_per_replica", "reference", "reference_batch_size",
    "speedup", "low", "high", "blocks", "verdict", "efficiency", "efficiency_low",
    "efficiency_high", "functional", "step_s", "allreduce_s", "allreduce_mib",
    "communication_share", "peak_rss_mib", "gpu_memory_mib", "memory_source", "loss",
    "loss_single", "loss_difference", "loss_low", "loss_high", "loss_verdict", "early_steps",
    "cautions",
]  # fmt: skip


def scaling(analysis: Analysis) -> pd.DataFrame:
    """One row a comparison of several devices with one.

    `kind` is strong where both have the same batch, weak where each device has. `efficiency` is
    the speedup per sample over the number of devices. `communication_share` is the time of an
    all-reduce of arrays like the gradients, by itself, over the time of a step: an upper bound
    where a framework reduces while it computes. `functional` says that the devices are logical
    ones of one CPU, or processes on CPUs that may be the same: then it shows that it works, and
    not what further devices would bring.
    """
    rows = [_row(m, analysis) for m in compared(analysis)]
    return pd.DataFrame(rows, columns=COLUMNS)


def compared(analysis: Analysis) -> list[Measurement]:
    """The comparisons that are of several devices with fewer."""
    return [
        outcome
        for outcome in analysis.run.outcomes
        if isinstance(outcome, Measurement)
        and roles.scaling_kind(outcome.case, outcome.reference) is not None
    ]


def _row(m: Measurement, analysis: Analysis) -> dict[str, Any]:
    speedup = legacy.speedup_columns(m, analysis)
    more = m.case.replicas / m.reference.replicas
    loss = legacy.loss_columns(m, analysis)
    step = median_step(m, "case")
    reduce = [s.allreduce_seconds for s in m.starts if s.role == "case" and s.allreduce_seconds]
    seconds = statistics.median(reduce) if reduce else None
    ends = {end: speedup[end] for end in ("low", "high")}
    return {
        **{k: v for k, v in legacy.case_columns(m.case).items() if k in COLUMNS},
        **{k: v for k, v in speedup.items() if k in COLUMNS},
        "device_name": m.facts.device_name,
        "kind": roles.scaling_kind(m.case, m.reference),
        "batch_per_replica": m.case.batch_size // m.case.replicas,
        "reference": m.reference.replicas,
        "reference_batch_size": m.reference.batch_size,
        "efficiency": speedup["speedup"] / more,
        **{f"efficiency_{end}": v and v / more for end, v in ends.items()},
        "functional": functional(m),
        "step_s": step,
        "allreduce_s": seconds,
        "allreduce_mib": next(
            (s.allreduce_bytes / 2**20 for s in m.starts if s.allreduce_bytes), None
        ),
        "communication_share": seconds and seconds / step,
        "peak_rss_mib": max(s.peak_rss_bytes for s in m.starts if s.role == "case") / 2**20,
        "gpu_memory_mib": max(
            (s.gpu_memory_bytes / 2**20 for s in m.starts if s.gpu_memory_bytes), default=None
        ),
        "memory_source": "the whole process: logical devices share its memory"
        if m.case.device == "cpu"
        else "the first GPU, allocator peak",
        **{name: value for name, value in loss.items() if name in COLUMNS},
        "loss_single": loss["loss_plain"],
        "cautions": SEPARATOR.join(map(str, analysis.roles.cautions(m))),
    }


def functional(m: Measurement) -> bool:
    """Whether the devices share CPUs, so that it says nothing of what further ones would bring."""
    return m.case.device == "cpu" and m.facts.machines < m.case.replicas


def median_step(m: Measurement, role: Role) -> float:
    """Seconds a step of one side, the median over all its rounds."""
    return statistics.median(r.seconds / r.steps for r in m.rounds if r.role == role)
