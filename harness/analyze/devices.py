"""Run → tidy DataFrames about its GPU: when it pays, and its readings."""

import dataclasses
import statistics
from collections import defaultdict

import pandas as pd

from harness.analyze import cases, crossover, legacy, roles, rounds, stats
from harness.analyze.analysis import Analysis
from harness.records import Case, Measurement, Start

CROSSOVER = [
    "variant", "backend", "threads", "device", "reference", "batch_size", "low", "high", "sizes",
    "reason",
]  # fmt: skip
BREAK_EVEN = [
    "variant", "backend", "threads", "batch_size", "device", "reference", "ready_s",
    "reference_ready_s", "pays_after_steps", "low", "high", "pays_after_epochs", "blocks", "reason",
]  # fmt: skip


def crossovers(analysis: Analysis) -> pd.DataFrame:
    """One row a variant: the batch size from which the GPU is as fast as the CPU."""
    rows = []
    for measured in _by_device(analysis):
        case = measured[0].case
        points = [(m.case.batch_size, stats.speedup(m)) for m in measured]
        found = crossover.batch_size(points)
        rows.append(
            {
                "variant": case.variant,
                "backend": case.backend,
                "threads": case.threads,
                "device": case.device,
                "reference": measured[0].reference.device,
                "batch_size": found.value,
                "low": found.low,
                "high": found.high,
                "sizes": ",".join(str(size) for size, _ in points),
                "reason": found.reason,
            }
        )
    return pd.DataFrame(rows, columns=CROSSOVER)


def break_evens(analysis: Analysis) -> pd.DataFrame:
    """One row a variant and batch size: steps and epochs after which the GPU has paid."""
    rows = []
    for m in (m for measured in _by_device(analysis) for m in measured):
        found = crossover.break_even_samples(m)
        steps, low, high = (
            None if samples is None else samples / m.case.batch_size
            for samples in (found.value, found.low, found.high)
        )
        ready = {
            role: statistics.median(s.ready_seconds for s in m.starts if s.role == role)
            for role in ("case", "reference")
        }
        rows.append(
            {
                **legacy.case_columns(m.case),
                "reference": m.reference.device,
                "ready_s": ready["case"],
                "reference_ready_s": ready["reference"],
                "pays_after_steps": steps,
                "low": low,
                "high": high,
                "pays_after_epochs": cases.quotient(found.value, m.facts.train_samples),
                "blocks": len(rounds.blocks(m)),
                "reason": found.reason,
            }
        )
    return pd.DataFrame(rows, columns=BREAK_EVEN)


def timelines(analysis: Analysis, most: int) -> tuple[dict[str, pd.DataFrame], int]:
    """Every reading of the GPU by case: one row a reading, with its worker and its seconds.

    Returns:
        Those of the first cases, so many at most; and how many cases there are.
    """
    found: dict[str, list[pd.DataFrame]] = defaultdict(list)
    read = [side for side in analysis.cases if any(map(_has_readings, side.starts))]
    for side in read[:most]:
        for start in side.starts:
            if start.usage and start.usage.gpu and _has_readings(start):
                frames = found[side.case.id]
                frame = pd.DataFrame(dataclasses.asdict(start.usage.gpu.trace))
                frames.append(frame.assign(worker=len(frames) + 1))
    joined = {case: pd.concat(frames, ignore_index=True) for case, frames in found.items()}
    charted = {
        case: frame.assign(memory_mib=frame["memory_bytes"].astype(float) / cases.MIB)
        for case, frame in joined.items()
    }
    return charted, len(read)


def _has_readings(start: Start) -> bool:
    return bool(start.usage and start.usage.gpu and start.usage.gpu.trace.seconds)


def _by_device(analysis: Analysis) -> list[list[Measurement]]:
    """Group the comparisons of devices that differ in batch size alone, in order of size."""
    groups: dict[Case, list[Measurement]] = defaultdict(list)
    for m in analysis.run.outcomes:
        if not isinstance(m, Measurement) or m.case.device != "gpu":
            continue
        if roles.differs_only_in("device", m.case, m.reference):
            groups[dataclasses.replace(m.case, batch_size=0)].append(m)
    return [sorted(group, key=lambda m: m.case.batch_size) for group in groups.values()]
