"""Run → tidy DataFrame of the batch sizes that were tried."""

import pandas as pd

from harness.analyze.analysis import Analysis

SEARCH = [
    "variant", "dataset", "backend", "device", "batch_size", "status", "samples_per_s",
    "peak_mib", "memory_mib", "memory_share", "fits_with_margin", "measured", "ended", "reason",
]  # fmt: skip
MARGIN = 0.1  # of the memory, left free by the largest size that fits with a margin
_MIB = 2**20


def batch_size_search(analysis: Analysis) -> pd.DataFrame:
    """One row a batch size that was tried, those that failed among them."""
    rows = []
    for search in analysis.run.searches:
        whole = search.memory_bytes
        for probe in search.probes:
            share = None if whole is None or probe.peak_bytes is None else probe.peak_bytes / whole
            rows.append(
                {
                    "variant": search.case.variant,
                    "dataset": search.case.dataset,
                    "backend": search.case.backend,
                    "device": search.case.device,
                    "batch_size": probe.batch_size,
                    "status": probe.status,
                    "samples_per_s": None
                    if probe.step_seconds is None
                    else probe.batch_size / probe.step_seconds,
                    "peak_mib": None if probe.peak_bytes is None else probe.peak_bytes / _MIB,
                    "memory_mib": None if whole is None else whole / _MIB,
                    "memory_share": share,
                    "fits_with_margin": None
                    if share is None or probe.step_seconds is None
                    else share <= 1 - MARGIN,
                    "measured": probe.batch_size in search.chosen,
                    "ended": search.ended,
                    "reason": probe.message or None,
                }
            )
    return pd.DataFrame(rows, columns=SEARCH)
