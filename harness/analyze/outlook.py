"""What many devices would cost, by a model of what was measured on few."""

import statistics
from typing import Any

import pandas as pd

from harness.analyze import legacy, roles, scaling
from harness.analyze.analysis import Analysis
from harness.records import Measurement

DEVICES = (8, 64, 512)
COLUMNS = [
    "variant", "dataset", "backend", "device", "kind", "measured_replicas", "replicas",
    "batch_size", "compute_s", "allreduce_s", "step_s", "speedup", "efficiency", "cost",
    "device_hours_per_million", "functional",
]  # fmt: skip


def outlook(analysis: Analysis) -> pd.DataFrame:
    """One row a comparison of several devices with one, and a number of devices.

    A step takes what it computes and then an all-reduce. What it computes is the step of one
    device at its part of the batch: with weak scaling the one that was measured, with strong
    scaling that divided by the devices. The all-reduce is a ring's, bound by the bandwidth: each
    device sends 2 (n-1)/n of the gradients' bytes (Patarasuk and Yuan 2009, "Bandwidth optimal
    all-reduce algorithms for clusters of workstations"), so that from m devices, measured, to n
    it grows by (n-1)/n over (m-1)/m. Nothing overlaps; latencies, slower links between racks and
    waiting for the slowest device are not in it. `cost` is device time per sample over that of
    one device.

    Logical devices of one process have no link that could be asked: they have no row.
    """
    rows = [
        _row(m, count)
        for m in scaling.compared(analysis)
        if m.reference.replicas == 1 and (m.case.hosts > 1 or m.case.device == "gpu")
        for count in (m.case.replicas, *DEVICES)
        if count >= m.case.replicas
    ]
    return pd.DataFrame([row for row in rows if row is not None], columns=COLUMNS)


def _row(m: Measurement, count: int) -> dict[str, Any] | None:
    measured = [s.allreduce_seconds for s in m.starts if s.allreduce_seconds]
    if not measured:
        return None
    kind, few = roles.scaling_kind(m.case, m.reference), m.case.replicas
    weak = kind == "weak"
    one = scaling.median_step(m, "reference")
    compute = one if weak else one / count
    reduce = statistics.median(measured) * ((count - 1) / count) / ((few - 1) / few)
    step = compute + reduce
    batch = m.reference.batch_size * (count if weak else 1)
    speedup = (one / m.reference.batch_size) / (step / batch)
    fields = legacy.case_columns(m.case)
    return {
        **{name: fields[name] for name in ("variant", "dataset", "backend", "device")},
        "kind": kind,
        "measured_replicas": few,
        "replicas": count,
        "batch_size": batch,
        "compute_s": compute,
        "allreduce_s": reduce,
        "step_s": step,
        "speedup": speedup,
        "efficiency": speedup / count,
        "cost": count / speedup,
        "device_hours_per_million": count * step / batch * 1e6 / 3600,
        "functional": scaling.functional(m),
    }
