"""The work explains the time: arithmetic and memory of each variant beside what it took."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from harness.analyze import stats, summary
from harness.analyze.summary import Side
from harness.records import Case, Estimate, Measurement, Run

COLUMNS = [
    "case", "variant", "batch_size", "device", "backend", "threads", "reference", "parameters",
    "parameter_bytes", "optimizer_bytes", "activation_bytes_per_sample", "macs_per_sample",
    "macs_source", "sample_us", "gflops", "peak_gflops", "peak_gflops_low", "peak_gflops_high",
    "product_size", "peak_share", "parameter_ratio", "predicted", "speedup", "low", "high",
    "measured_over_predicted", "in_sweep", "fitted_us", "residual",
]  # fmt: skip
PASSES = 3  # forward, and backward to weights and to inputs: the usual count of a training step


@dataclass(frozen=True, slots=True)
class Line:
    """Sample time = fixed + slope · multiply-accumulates, of a width sweep.

    Attributes:
        fixed_us: Time of a sample without work.
        us_per_mac: Time of a multiply-accumulate of the forward pass, its backward passes in it.
        sizes: Variants that it is fitted to.
    """

    fixed_us: float
    us_per_mac: float
    sizes: int

    def at(self, macs: float) -> float:
        """Sample time in µs."""
        return self.fixed_us + self.us_per_mac * macs


def work(run: Run) -> pd.DataFrame:
    """One row a variant that was compared with another one, and one of the reference itself.

    `sample_us` is the reference's over the speedup: only what took turns
    compares. `predicted` is the ratio of multiply-accumulates, what the speedup would be
    if the work alone decided; `in_sweep` tells which variants differ from the
    reference in width alone; `fitted_us` is what the line through those gives.
    """
    known = {side.case: side for side in summary.sides(run)}
    groups: dict[Case, list[Measurement]] = defaultdict(list)
    for m in summary.compared(run, "variant"):
        if m.case != m.reference:
            groups[m.reference].append(m)
    rows: list[dict[str, Any]] = []
    for reference, measured in groups.items():
        group = [_row(known[reference], known, None)]
        group += [_row(known[m.case], known, m) for m in measured]
        line = _line(group)
        for row in group:
            if line and row["macs_per_sample"]:
                row["fitted_us"] = line.at(row["macs_per_sample"])
                row["residual"] = row["sample_us"] / row["fitted_us"] - 1
        rows += group
    frame = pd.DataFrame(rows, columns=COLUMNS)
    keys = ["batch_size", "device", "backend", "macs_per_sample"]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def _row(side: Side, known: dict[Case, Side], m: Measurement | None) -> dict[str, Any]:
    reference = side if m is None else known[m.reference]
    reference_s = stats.step_seconds(reference.blocks.values()).value / reference.case.batch_size
    speedup = Estimate(1.0, None, None, 0) if m is None else stats.speedup(m)
    sample_s = reference_s / speedup.value
    macs = side.facts.macs_per_sample
    predicted = summary.quotient(reference.facts.macs_per_sample, macs)
    peak, size = _peak(side.case, known.values())
    gflops = None if macs is None else 2e-9 * PASSES * macs / sample_s
    return {
        **summary.case_columns(side.case),
        **{f.name: getattr(side.facts, f.name) for f in dataclasses.fields(side.facts)},
        "reference": reference.case.variant,
        "sample_us": 1e6 * sample_s,
        "gflops": gflops,
        **_gigaflops(peak),
        "product_size": size,
        "peak_share": summary.quotient(gflops, None if peak is None else peak.value / 1e9),
        "parameter_ratio": reference.facts.parameters / side.facts.parameters,
        "predicted": predicted,
        "speedup": speedup.value,
        "low": speedup.low,
        "high": speedup.high,
        "measured_over_predicted": summary.quotient(speedup.value, predicted),
        "in_sweep": side.facts.layout is not None and side.facts.layout == reference.facts.layout,
    }


def _peak(case: Case, sides: Iterable[Side]) -> tuple[Estimate | None, int | None]:
    """The rate of a matrix product and the size of its matrices.

    Over all workers with the same framework, device, threads and precision:
    it is the machine's, whatever they trained.
    """
    alike = [side for side in sides if _place(side.case) == _place(case)]
    starts = [start for side in alike for start in side.starts if start.product_flops]
    if not starts:
        return None, None
    logs = [math.log(start.product_flops or math.nan) for start in starts]
    return stats.log_interval(logs), max(start.product_size or 0 for start in starts)


def _place(case: Case) -> tuple[str, str, int, str]:
    return case.backend, case.device, case.threads, case.precision


def _gigaflops(peak: Estimate | None) -> dict[str, float | None]:
    ends = (None, None, None) if peak is None else (peak.value, peak.low, peak.high)
    names = ("peak_gflops", "peak_gflops_low", "peak_gflops_high")
    return {n: None if end is None else end / 1e9 for n, end in zip(names, ends, strict=True)}


def _line(rows: Sequence[dict[str, Any]]) -> Line | None:
    """Fit the line to a width sweep of at least three; least squares of relative errors."""
    sweep = [row for row in rows if row["in_sweep"] and row["macs_per_sample"]]
    points = {row["macs_per_sample"]: row["sample_us"] for row in sweep}
    if len(points) < 3:
        return None
    # Weights 1/t²: a slow variant's error is larger in µs, not in percent.
    weights = {macs: 1 / us**2 for macs, us in points.items()}
    total = sum(weights.values())
    x = sum(w * macs for macs, w in weights.items()) / total
    y = sum(w * points[macs] for macs, w in weights.items()) / total
    slope = sum(w * (macs - x) * (points[macs] - y) for macs, w in weights.items()) / sum(
        w * (macs - x) ** 2 for macs, w in weights.items()
    )
    return Line(y - slope * x, slope, len(points))


def line_of(rows: pd.DataFrame) -> Line | None:
    """The line that a group's `fitted_us` lie on; None where there is none."""
    known = rows[rows["fitted_us"].notna()].sort_values("macs_per_sample")
    if len(known) < 2:
        return None
    first, last = known.iloc[0], known.iloc[-1]
    slope = (last["fitted_us"] - first["fitted_us"]) / (
        last["macs_per_sample"] - first["macs_per_sample"]
    )
    fixed = first["fitted_us"] - slope * first["macs_per_sample"]
    return Line(float(fixed), float(slope), int(known["in_sweep"].sum()))
