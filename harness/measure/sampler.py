"""Readings from outside the worker, around each round: the machine's counters.

Reading a few files in /proc before and after a round costs the worker
nothing; the parent is idle while a round runs.
"""

from dataclasses import dataclass
from pathlib import Path

import psutil

_CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")


@dataclass(frozen=True, slots=True)
class MachineCounters:
    """Totals since boot, in CPU seconds; None where the machine does not say.

    Attributes:
        busy_seconds: CPU time of all processes.
        steal_seconds: Time the hypervisor gave to others.
        throttled_seconds: Time the cgroup's quota stopped its processes.
    """

    busy_seconds: float
    steal_seconds: float | None
    throttled_seconds: float | None


def read_machine() -> MachineCounters:
    """Read the totals now."""
    times = psutil.cpu_times()
    busy = times.user + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return MachineCounters(busy + times.nice, getattr(times, "steal", None), _throttled_seconds())


def disturbance(
    before: MachineCounters, after: MachineCounters, own_cpu_seconds: float
) -> dict[str, float | None]:
    """Compute the disturbance fields of a `Round` from the totals around it."""
    busy = after.busy_seconds - before.busy_seconds
    return {
        "steal_seconds": _difference(before.steal_seconds, after.steal_seconds),
        "other_cpu_seconds": max(0.0, busy - own_cpu_seconds),
        "throttled_seconds": _difference(before.throttled_seconds, after.throttled_seconds),
    }


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _throttled_seconds() -> float | None:
    try:
        lines = _CPU_STAT.read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split() for line in lines)
    return int(values["throttled_usec"]) / 1e6 if "throttled_usec" in values else None
