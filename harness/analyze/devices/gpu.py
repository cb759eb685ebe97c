"""Utilization, power and memory of a GPU from NVML's readings, if there are enough."""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.records import Gpu, GpuUsage, Start

# The utilization counter covers the last sample period, up to 1 s: an earlier reading may
# include time before the rounds.
SETTLE_SECONDS = 1.0
MIN_SECONDS = 2.0
MIN_READINGS = 10
_MIN_UPDATES = 3

_REASONS = {  # nvml.h, nvmlClocksEventReasons
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}


# GPUs whose sensor of power looks at a quarter of the time: Yang and others, "Part-time power
# measurements", SC24, arXiv 2312.02741.
_PART_TIME = ("A100", "H100")
_WITH_CPU = ("GH200", "GB200", "GB300")


@dataclass(frozen=True, slots=True)
class Known:
    """A value from so many readings; the source says how, or why there is no value."""

    value: float | None
    readings: int
    source: str


def usages(starts: Iterable[Start]) -> list[GpuUsage]:
    """Return the readings, per worker that has some."""
    return [start.usage.gpu for start in starts if start.usage and start.usage.gpu]


def utilization_percent(usages: Sequence[GpuUsage]) -> Known:
    """Return the mean share of time with a kernel running, of workers that ran long enough."""
    return _mean([_read(usage, "utilization_percent", _average, "NVML") for usage in usages])


def power_watts(usages: Sequence[GpuUsage]) -> Known:
    """Return the mean board power: from the energy counter, else the integral of power."""
    found = []
    for usage in usages:
        counted = _read(usage, "energy_joules", _from_counter, "energy counter")
        integral = _read(usage, "power_watts", _integral, "power integral")
        found.append(integral if counted.value is None else counted)
    return _mean(found)


def about_power(facts: Gpu | None) -> str:
    """Return what is known to be wrong with the power of a GPU; empty if nothing is."""
    name = "" if facts is None else facts.name
    if any(one in name for one in _WITH_CPU):
        return "whether the CPU of the same module is in it is not known"
    if any(one in name for one in _PART_TIME):
        return "the sensor looks at a quarter of the time, so a difference below 5 % shows nothing"
    return ""


def memory_bytes(usages: Sequence[GpuUsage]) -> Known:
    """Return the largest device memory of all processes, minus that before the worker began."""
    found = [
        max(used) - usage.idle_memory_bytes
        for usage in usages
        if usage.idle_memory_bytes is not None
        and (used := [value for value in usage.trace.memory_bytes if value is not None])
    ]
    if not found:
        why = refused(usages).get("memory_bytes")
        return Known(None, 0, "no reading" if why is None else f"NVML refuses it: {why}")
    return Known(float(max(found)), len(found), "NVML, less the idle value")


def throttled(usages: Sequence[GpuUsage]) -> dict[str, float]:
    """Return the share of readings with each reason for a lowered clock."""
    masks = [int(mask) for mask in _values(usages, "throttle_reasons")]
    shares = {name: sum(bool(m & bit) for m in masks) for bit, name in _REASONS.items()}
    return {name: count / len(masks) for name, count in shares.items() if count}


def foreign_processes(usages: Sequence[GpuUsage]) -> int | None:
    """Return the most processes of others at once; None when NVML does not list them."""
    known = (u.foreign_processes for u in usages if u.foreign_processes is not None)
    return max(known, default=None)


def largest(usages: Sequence[GpuUsage], name: str) -> float | None:
    """Return the largest reading of that name; None when there is none."""
    return max(_values(usages, name), default=None)


def median(usages: Sequence[GpuUsage], name: str) -> float | None:
    """Return the median reading of that name; None when there is none."""
    values = _values(usages, name)
    return statistics.median(values) if values else None


def _values(usages: Sequence[GpuUsage], name: str) -> list[float]:
    return [v for usage in usages for v in getattr(usage.trace, name) if v is not None]


def refused(usages: Sequence[GpuUsage]) -> dict[str, str]:
    """Return what NVML refused to read, with its reasons."""
    return {what: why for usage in usages for what, why in usage.refused.items()}


Points = Sequence[tuple[float, float]]  # second and value


def _read(usage: GpuUsage, name: str, value: Callable[[Points], float], source: str) -> Known:
    points = _settled(usage, name)
    lacking = _lacking(usage, points, name)
    return Known(None if lacking else value(points), len(points), lacking or source)


def _settled(usage: GpuUsage, name: str) -> Points:
    read = zip(usage.trace.seconds, getattr(usage.trace, name), strict=True)
    return [(s, value) for s, value in read if value is not None and s >= SETTLE_SECONDS]


def _window(points: Points) -> float:
    return points[-1][0] - points[0][0] if points else 0.0


def _lacking(usage: GpuUsage, points: Points, name: str) -> str:
    """Say why readings are insufficient; empty when they suffice."""
    if name in usage.refused:
        return f"NVML refuses it: {usage.refused[name]}"
    if _window(points) < MIN_SECONDS or len(points) < MIN_READINGS:
        return (
            f"insufficient: {len(points)} readings over {_window(points):.1f} s, "
            f"{MIN_READINGS} over {MIN_SECONDS:g} s are needed"
        )
    updates = _updates(points)
    few = len(updates) < _MIN_UPDATES or _window(updates) < MIN_SECONDS / 2
    if few and name == "energy_joules":
        return f"insufficient: the energy counter moved {len(updates)} times"
    return ""


def _average(points: Points) -> float:
    return statistics.fmean(value for _, value in points)


def _integral(points: Points) -> float:
    """Integral of the readings by trapezoids, over their time."""
    pairs = itertools.pairwise(points)
    return sum((s1 - s0) * (v1 + v0) / 2 for (s0, v0), (s1, v1) in pairs) / _window(points)


def _from_counter(points: Points) -> float:
    """Energy between two updates of the counter over the time between them."""
    updates = _updates(points)
    return (updates[-1][1] - updates[0][1]) / _window(updates)


def _updates(points: Points) -> Points:
    """Readings at which the counter moved: between updates its value is stale."""
    return [now for before, now in itertools.pairwise(points) if now[1] != before[1]]


def _mean(found: Sequence[Known]) -> Known:
    """Average over workers with a value; without any, the reasons of all."""
    known = [(one.value, one) for one in found if one.value is not None]
    if not known:
        reasons = dict.fromkeys(one.source for one in found)
        return Known(None, sum(one.readings for one in found), "; ".join(reasons) or "no reading")
    sources = dict.fromkeys(one.source for _, one in known)
    mean = math.fsum(value for value, _ in known) / len(known)
    return Known(mean, sum(one.readings for _, one in known), " and ".join(sources))
