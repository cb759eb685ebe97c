"""A speedup taken apart: Run → one row a rung, what it brings and where it leads."""

import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.analyze import legacy, stats
from harness.analyze.analysis import Analysis
from harness.analyze.cautions import SEPARATOR
from harness.records import Estimate, Ladder, Measurement, Rung, comparison_key

DIRECT = "direct"
COLUMNS = [
    "order", "rung", "change", "variant", "device", "backend", "batch_size", "optimizer",
    "reference", "reference_batch_size", "parameter_ratio", "mac_ratio", "speedup", "low",
    "high", "blocks",
    "verdict", "smallest_visible", "share", "cumulative", "cumulative_low", "cumulative_high",
    "product_over_direct", "product_over_direct_low", "product_over_direct_high", "published",
    "noise_floor", "cautions",
]  # fmt: skip


def ladder(analysis: Analysis) -> pd.DataFrame:
    """One row a rung, then one of the direct comparison, for every order of the changes.

    `cumulative` is the product of the rungs so far, `share` the rung's part of the
    logarithm of the whole product, where that is shown to differ from 1. The row `direct`
    compares both ends of the ladder with each other and holds the ratio of the product to
    it, which should be 1.
    """
    measured = {o.key: o for o in analysis.run.outcomes if isinstance(o, Measurement)}
    rows = [row for each in analysis.run.ladders for row in _rows(each, measured, analysis)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _direct(each: Ladder) -> Rung:
    return Rung(DIRECT, each.rungs[-1].case, each.rungs[0].reference)


def _rows(
    each: Ladder, measured: dict[str, Measurement], analysis: Analysis
) -> list[dict[str, Any]]:
    """Make the rows of one order; the product ends where a rung is missing."""
    climbed: list[Sequence[float]] = []
    rows = []
    for number, rung in enumerate(each.rungs, start=1):
        m = measured.get(rung.key)
        if m is None:
            break
        climbed.append(stats.speedup_logs(m))
        so_far = stats.exponential(stats.sum_interval(climbed))
        rows.append({**_row(each, str(number), rung.change, m, analysis), **_cumulative(so_far)})
    if climbed and agrees(rows[-1]["cumulative_low"], rows[-1]["cumulative_high"]) is False:
        whole = sum(statistics.fmean(logs) for logs in climbed)
        for row, logs in zip(rows, climbed, strict=True):
            row["share"] = statistics.fmean(logs) / whole
    direct = _direct(each)
    m = measured.get(comparison_key(direct.case, direct.reference))
    if m is not None:
        row = _row(each, DIRECT, f"all {len(each.rungs)} at once", m, analysis)
        if 1 < len(climbed) == len(each.rungs):
            row |= _agreement(climbed, stats.speedup_logs(m))
        rows.append(row)
    return rows


def _row(
    each: Ladder, number: str, change: str, m: Measurement, analysis: Analysis
) -> dict[str, Any]:
    speedup = legacy.speedup_columns(m, analysis)
    return {
        **legacy.case_columns(m.case),
        **speedup,
        "cautions": SEPARATOR.join(map(str, analysis.roles.cautions(m))),
        "optimizer": m.facts.optimizer,
        "order": each.name,
        "rung": number,
        "change": change,
        "reference": m.reference.variant,
        "reference_batch_size": m.reference.batch_size,
    }


def _cumulative(product: Estimate) -> dict[str, float | None]:
    return {
        "cumulative": product.value,
        "cumulative_low": product.low,
        "cumulative_high": product.high,
    }


def _agreement(climbed: Sequence[Sequence[float]], direct: Sequence[float]) -> dict[str, Any]:
    """Compare the product of the rungs with the direct comparison: independent blocks."""
    ratio = stats.exponential(stats.sum_interval([*climbed, [-value for value in direct]]))
    return {
        "product_over_direct": ratio.value,
        "product_over_direct_low": ratio.low,
        "product_over_direct_high": ratio.high,
    }


def agrees(low: float | None, high: float | None) -> bool | None:
    """Whether an interval of a ratio holds 1; None without an interval."""
    return None if low is None or high is None else low <= 1 <= high
