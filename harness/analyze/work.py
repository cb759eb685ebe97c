"""The work explains the time: arithmetic and memory of each variant beside what it took."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from harness.analyze import cases, legacy, stats
from harness.analyze.analysis import Analysis
from harness.analyze.cases import CaseData
from harness.records import Case, Estimate, Measurement

COLUMNS = [
    "case", "variant", "batch_size", "device", "backend", "threads", "reference", "parameters",
    "parameter_bytes", "optimizer_bytes", "activation_bytes_per_sample", "macs_per_sample",
    "macs_source", "sample_us", "gflops", "peak_gflops", "peak_gflops_low", "peak_gflops_high",
    "product_size", "peak_share", "parameter_ratio", "predicted", "speedup", "low", "high",
    "measured_over_predicted", "in_sweep", "line_fixed_us",
    "line_us_per_mmac", "fitted_us", "residual",
]  # fmt: skip
PASSES = 3  # forward, and backward to weights and to inputs: the usual count of a training step
_FEWEST_WIDTHS = 3

Place = tuple[str, str, int, str]
Peak = tuple[Estimate, int]


def work(analysis: Analysis) -> pd.DataFrame:
    """One row a variant that was compared with another one, and one of the reference itself.

    `sample_us` is the reference's over the speedup: only what took turns
    compares. `predicted` is the ratio of multiply-accumulates, what the speedup would be
    if the work alone decided; `in_sweep` tells which variants differ from the
    reference in width alone; `fitted_us` is what the line through those gives:
    sample time = fixed + slope · multiply-accumulates.
    """
    known = {side.case: side for side in analysis.cases}
    peaks = _peaks(known.values())
    groups: dict[Case, list[Measurement]] = defaultdict(list)
    for m in analysis.roles.compared("variant"):
        if m.case != m.reference:
            groups[m.reference].append(m)
    rows: list[dict[str, Any]] = []
    for reference, measured in groups.items():
        group = [_row(known[reference], known[reference], None, peaks)]
        group += [_row(known[m.case], known[reference], m, peaks) for m in measured]
        rows += _with_line(group)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    keys = ["batch_size", "device", "backend", "macs_per_sample"]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def _row(
    side: CaseData, reference: CaseData, m: Measurement | None, peaks: Mapping[Place, Peak]
) -> dict[str, Any]:
    reference_s = reference.step.value / reference.case.batch_size
    speedup = Estimate(1.0, None, None, 0) if m is None else stats.speedup(m)
    sample_s = reference_s / speedup.value
    macs = side.facts.macs_per_sample
    predicted = cases.quotient(reference.facts.macs_per_sample, macs)
    peak, size = peaks.get(place(side.case), (None, None))
    gflops = None if macs is None else 2e-9 * PASSES * macs / sample_s
    return {
        **legacy.case_columns(side.case),
        **{f.name: getattr(side.facts, f.name) for f in dataclasses.fields(side.facts)},
        "reference": reference.case.variant,
        "sample_us": 1e6 * sample_s,
        "gflops": gflops,
        **_gigaflops(peak),
        "product_size": size,
        "peak_share": cases.quotient(gflops, None if peak is None else peak.value / 1e9),
        "parameter_ratio": reference.facts.parameters / side.facts.parameters,
        "predicted": predicted,
        "speedup": speedup.value,
        "low": speedup.low,
        "high": speedup.high,
        "measured_over_predicted": cases.quotient(speedup.value, predicted),
        "in_sweep": side.facts.layout is not None
        and side.facts.layout == reference.facts.layout
        and side.facts.optimizer == reference.facts.optimizer,
    }


def _peaks(sides: Iterable[CaseData]) -> dict[Place, Peak]:
    """The rate of a matrix product and the size of its matrices, where they are known.

    Over all workers with the same framework, device, threads and precision:
    it is the machine's, whatever they trained.
    """
    products: dict[Place, list[tuple[float, int]]] = defaultdict(list)
    for side in sides:
        products[place(side.case)] += [
            (math.log(start.product_flops), start.product_size or 0)
            for start in side.starts
            if start.product_flops
        ]
    return {
        place: (stats.log_interval([log for log, _ in found]), max(size for _, size in found))
        for place, found in products.items()
        if found
    }


def place(case: Case) -> Place:
    """What decides the rates of a machine: framework, device, threads and precision."""
    return case.backend, case.device, case.threads, case.precision


def _gigaflops(peak: Estimate | None) -> dict[str, float | None]:
    ends = (None, None, None) if peak is None else (peak.value, peak.low, peak.high)
    names = ("peak_gflops", "peak_gflops_low", "peak_gflops_high")
    return {n: None if end is None else end / 1e9 for n, end in zip(names, ends, strict=True)}


def _with_line(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the line through a width sweep of at least three, and what lies off it.

    Least squares of relative errors: a slow variant's error is larger in µs.
    """
    counted = [row for row in rows if row["macs_per_sample"]]
    sweep = [row for row in counted if row["in_sweep"]]
    if len({row["macs_per_sample"] for row in sweep}) < _FEWEST_WIDTHS:
        return rows
    millions = np.array([row["macs_per_sample"] / 1e6 for row in sweep])
    times = np.array([row["sample_us"] for row in sweep])
    slope, fixed = np.polyfit(millions, times, 1, w=1 / times)
    for row in counted:
        fitted = float(fixed + slope * row["macs_per_sample"] / 1e6)
        row |= {
            "line_fixed_us": float(fixed),
            "line_us_per_mmac": float(slope),
            "fitted_us": fitted,
            "residual": row["sample_us"] / fitted - 1,
        }
    return rows
