"""What is counted around a timed piece of work: one round, or one epoch of a full training.

A new counter is one field here and one line where its total is read: in
`harness.worker.resources` for the worker's own, in `harness.measure.machine.sampler` for those of
the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

Totals = Mapping[str, float | None]


def _counter(heading: str, unit: str) -> Any:
    return field(default=None, metadata={"heading": heading, "unit": unit})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Differences of totals read before and after; None where a total is unknown.

    Switches and faults are kept as evidence: no table shows them.

    Attributes:
        cpu_seconds: CPU time of the worker, all threads.
        involuntary_switches: Times the worker was taken off its CPU.
        minor_faults: Page faults without disk access.
        major_faults: Page faults with disk access.
        steal_seconds: CPU time that the hypervisor gave to others.
        other_cpu_seconds: CPU time of all other processes.
        throttled_seconds: Time for which the cgroup's quota stopped the processes in it.
    """

    cpu_seconds: float | None = _counter("CPU time", "s")
    involuntary_switches: int | None = _counter("involuntary switches", "")
    minor_faults: int | None = _counter("minor faults", "")
    major_faults: int | None = _counter("major faults", "")
    steal_seconds: float | None = _counter("steal", "s")
    other_cpu_seconds: float | None = _counter("CPU time of other processes", "s")
    throttled_seconds: float | None = _counter("stopped by quota", "s")


COLUMNS = {f.name: (f.metadata["heading"], f.metadata["unit"]) for f in fields(Counters)}


def change(before: Totals, after: Totals) -> dict[str, float | None]:
    """Differences of totals by name; None where either is unknown."""
    found: dict[str, float | None] = {}
    for name, end in after.items():
        begin = before[name]
        found[name] = None if begin is None or end is None else end - begin
    return found
