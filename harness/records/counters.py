"""What is counted around a timed piece of work: one round, or one epoch of a full training.

A new counter is one field here and one line where its total is read: in
`harness.worker.resources` for the worker's own, in `harness.measure.machine.sampler` for those of
the machine. A field with a heading is a column of the table of measurements, per step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Totals = Mapping[str, float | None]


def _counter(heading: str = "") -> Any:
    return field(default=None, metadata={"heading": heading})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Differences of totals read before and after; None where a total is unknown.

    Switches and faults are kept as evidence; the table of measurements shows CPU time as CPU %.
    """

    cpu_seconds: float | None = _counter()  # of the worker, all threads
    involuntary_switches: int | None = _counter()  # the worker was taken off its CPU
    minor_faults: int | None = _counter()  # page faults without disk access
    major_faults: int | None = _counter()  # page faults with disk access
    steal_seconds: float | None = _counter()  # CPU time that the hypervisor gave to others
    other_cpu_seconds: float | None = _counter()  # of all other processes
    throttled_seconds: float | None = _counter()  # stopped by the cgroup's quota
    # Energy of whole processor packages, and of their memory, whoever used it.
    package_joules: float | None = _counter()
    dram_joules: float | None = _counter()


# Counters that are columns of the table of measurements, with their headings.
COLUMNS = {f.name: f.metadata["heading"] for f in fields(Counters) if f.metadata["heading"]}


def change(before: Totals, after: Totals) -> dict[str, float | None]:
    """Differences of totals by name; None where either is unknown."""
    found: dict[str, float | None] = {}
    for name, end in after.items():
        begin = before[name]
        found[name] = None if begin is None or end is None else end - begin
    return found
