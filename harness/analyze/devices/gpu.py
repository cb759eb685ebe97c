"""Utilization, power and memory of a GPU from NVML's readings, if there are enough."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import GpuTrace, GpuUsage

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


@dataclass(frozen=True, slots=True)
class Known:
    """A value from readings.

    Attributes:
        value: None when it is missing.
        readings: Their number.
        source: How the value was found, or why it is missing.
    """

    value: float | None
    readings: int
    source: str


def utilization_percent(usages: Sequence[GpuUsage]) -> Known:
    """Return the mean share of time with a kernel running, of workers that ran long enough."""
    return _mean([_mean_of(usage, "utilization_percent") for usage in usages])


def power_watts(usages: Sequence[GpuUsage]) -> Known:
    """Return the mean board power: from the energy counter, else the integral of power."""
    found = []
    for usage in usages:
        counted = _from_counter(usage)
        found.append(_from_power(usage) if counted.value is None else counted)
    return _mean(found)


def memory_bytes(usages: Sequence[GpuUsage]) -> Known:
    """Return the largest device memory of all processes, minus that before the worker began."""
    found = [
        max(used) - usage.idle_memory_bytes
        for usage in usages
        if usage.idle_memory_bytes is not None
        and (used := [value for value in usage.trace.memory_bytes if value is not None])
    ]
    if not found:
        return Known(None, 0, _refusal(usages, "memory_bytes") or "no reading")
    return Known(float(max(found)), len(found), "NVML, less the idle value")


def throttled(usages: Sequence[GpuUsage]) -> dict[str, float]:
    """Return the share of readings with each reason for a lowered clock."""
    masks = [int(mask) for mask in _values(usages, "throttle_reasons")]
    shares = {name: sum(bool(m & bit) for m in masks) for bit, name in _REASONS.items()}
    return {name: count / len(masks) for name, count in shares.items() if count}


def foreign_processes(usages: Sequence[GpuUsage]) -> int | None:
    """Return the most processes of others at once; None when NVML does not list them."""
    return max(
        (u.foreign_processes for u in usages if u.foreign_processes is not None), default=None
    )


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


def _settled(trace: GpuTrace, name: str) -> list[tuple[float, float]]:
    return [
        (second, value)
        for second, value in zip(trace.seconds, getattr(trace, name), strict=True)
        if value is not None and second >= SETTLE_SECONDS
    ]


def _window(points: Sequence[tuple[float, float]]) -> float:
    return points[-1][0] - points[0][0] if points else 0.0


def _mean_of(usage: GpuUsage, name: str) -> Known:
    points = _settled(usage.trace, name)
    lacking = _lacking(usage, points, name)
    if lacking:
        return Known(None, len(points), lacking)
    return Known(statistics.fmean(value for _, value in points), len(points), "NVML")


def _lacking(usage: GpuUsage, points: Sequence[tuple[float, float]], name: str) -> str | None:
    """Say why readings are insufficient; None when they suffice."""
    if name in usage.refused:
        return f"NVML refuses it: {usage.refused[name]}"
    if _window(points) < MIN_SECONDS or len(points) < MIN_READINGS:
        return (
            f"insufficient: {len(points)} readings over {_window(points):.1f} s, "
            f"{MIN_READINGS} over {MIN_SECONDS:g} s are needed"
        )
    return None


def _from_counter(usage: GpuUsage) -> Known:
    """Energy between two updates of the counter over the time between them.

    The counter moves in steps: between updates its value is stale.
    """
    points = _settled(usage.trace, "energy_joules")
    pairs = itertools.pairwise(points)
    updates = [now for before, now in pairs if now[1] != before[1]]
    lacking = _lacking(usage, points, "energy_joules")
    if not lacking and (len(updates) < _MIN_UPDATES or _window(updates) < MIN_SECONDS / 2):
        lacking = f"insufficient: the energy counter moved {len(updates)} times"
    if lacking:
        return Known(None, len(points), lacking)
    joules = updates[-1][1] - updates[0][1]
    return Known(joules / _window(updates), len(points), "energy counter")


def _from_power(usage: GpuUsage) -> Known:
    """Integral of the power readings by trapezoids, over their time."""
    points = _settled(usage.trace, "power_watts")
    lacking = _lacking(usage, points, "power_watts")
    if lacking:
        return Known(None, len(points), lacking)
    joules = sum(
        (after[0] - before[0]) * (after[1] + before[1]) / 2
        for before, after in itertools.pairwise(points)
    )
    return Known(joules / _window(points), len(points), "power integral")


def _mean(found: Sequence[Known]) -> Known:
    """Average over workers with a value; without any, the reasons of all."""
    known = [(one.value, one) for one in found if one.value is not None]
    if not known:
        reasons = dict.fromkeys(one.source for one in found)
        return Known(None, sum(one.readings for one in found), "; ".join(reasons) or "no reading")
    sources = dict.fromkeys(one.source for _, one in known)
    return Known(
        math.fsum(value for value, _ in known) / len(known),
        sum(one.readings for _, one in known),
        " and ".join(sources),
    )


def _refusal(usages: Sequence[GpuUsage], name: str) -> str | None:
    why = refused(usages).get(name)
    return None if why is None else f"NVML refuses it: {why}"
