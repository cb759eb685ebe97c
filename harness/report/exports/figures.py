"""The figures of a run that every format writes: of each case, and of each comparison."""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.analyze.analysis import Analysis
from harness.analyze.cases import MIB, CaseData
from harness.records import Estimate
from harness.report import names


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a case or of a comparison.

    Attributes:
        case: Id of the case.
        quantity: A name in small letters, without the unit.
        unit: In full, as `seconds`; empty for a ratio.
        value: With its interval, where there is one.
        more_is_better: As a speedup is.
        against: Id of the reference of a ratio.
        name: Of the case or of the comparison, for people.
    """

    case: str
    quantity: str
    unit: str
    value: Estimate
    more_is_better: bool
    against: str | None
    name: str


def of_run(analysis: Analysis) -> Iterator[Figure]:
    """Yield the figures of all cases that were measured, then those of comparisons."""
    for data in analysis.cases:
        yield from _of_case(data)
    for m in analysis.roles.measured:
        if m.case != m.reference:
            name, speedup = names.comparison(m.case, m.reference), analysis.speedups.speedup(m)
            yield Figure(m.case.id, "speedup", "", speedup, True, m.reference.id, name)


def _of_case(data: CaseData) -> Iterator[Figure]:
    case, step = data.case, data.step
    name = case.id

    def figure(quantity: str, unit: str, value: Estimate) -> Figure:
        return Figure(case.id, quantity, unit, value, False, None, name)

    yield figure("step", "seconds", step)
    yield figure("sample", "seconds", step.times(1 / case.batch_size))
    first = [start.first_step_seconds for start in data.starts]
    if first:
        yield figure("first_step", "seconds", _plain(sorted(first)[len(first) // 2]))
    for quantity, size in (
        ("peak_memory", data.largest_mib("peak_rss_bytes")),
        ("gpu_memory", data.gpu_memory_mib),
    ):
        if size is not None:
            yield figure(quantity, "bytes", _plain(size * MIB))
    if data.joules_per_sample is not None:
        yield figure("energy_per_sample", "joules", _plain(data.joules_per_sample))


def _plain(value: float) -> Estimate:
    return Estimate(value, None, None, 1)
