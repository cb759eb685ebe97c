"""Two versions of a case: what changed in its first step and its memory, block by block."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable
from typing import Literal

from harness.analyze import stats, verdicts
from harness.records import Case, Estimate, Measurement, Outcome, Start

Change = Literal["more", "less", "same", "small difference", "undecided"]
_WORDS: dict[str, Change] = {"faster": "less", "slower": "more"}


def is_of_versions(m: Outcome) -> bool:
    """Return whether the reference was trained in another version."""
    return m.case.version != m.reference.version


def first_step(m: Measurement) -> Estimate | None:
    """Return the time of the first step over that of the reference."""
    return _ratio(m, lambda start: start.first_step_seconds)


def peak_memory(m: Measurement) -> Estimate | None:
    """Return the peak of memory over that of the reference."""
    return _ratio(m, lambda start: peak_bytes(start, m.case))


def peak_bytes(start: Start, case: Case) -> int | None:
    """Return the peak of a worker's memory: the device's where a GPU is used."""
    return start.gpu_memory_bytes if case.device == "gpu" else start.peak_rss_bytes


def change(ratio: Estimate | None) -> Change | None:
    """Judge a ratio as a speedup is judged; None where nothing was measured."""
    if ratio is None:
        return None
    word = verdicts.verdict(ratio.inverse())
    return _WORDS.get(word) or word  # type: ignore[return-value]


def _ratio(m: Measurement, value: Callable[[Start], float | None]) -> Estimate | None:
    """Return case over reference, over blocks; the two workers of a reference count half each."""
    found: dict[int, dict[bool, list[float]]] = defaultdict(lambda: defaultdict(list))
    for start in m.starts:
        if size := value(start):
            found[start.block][start.role == "case"].append(math.log(size))
    both = [its for its in found.values() if len(its) == 2]
    logs = [statistics.fmean(its[True]) - statistics.fmean(its[False]) for its in both]
    return stats.log_interval(logs, m.confidence) if logs else None
