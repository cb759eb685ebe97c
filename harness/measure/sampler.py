"""Readings from outside the worker: the machine's counters and the worker's memory.

Around each round the machine's totals are read while nothing is timed. A
thread of the parent also reads memory and the GPU a few times a second, paced
by deadlines, and keeps account of what it costs.
"""

import contextlib
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

import psutil

from harness.measure.gpu import GpuReading
from harness.records import Usage

_CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")
INTERVAL_SECONDS = 0.25


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
    busy = times.user + times.nice + times.system
    busy += getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return MachineCounters(busy, getattr(times, "steal", None), _throttled_seconds())


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


class AnyGpu(Interface):
    """What the sampler needs of `gpu.open_gpu()`."""

    @property
    def name(self) -> str | None:
        """Its name; None when there is none."""

    @property
    def reason(self) -> str | None:
        """Why there is none."""

    def read(self) -> GpuReading:
        """Read the GPU now."""


class Sampler:
    """Reads one worker's memory and the GPU until it is stopped.

    It starts with the worker, so that the last size of one that was killed is
    known; `begin_rounds` forgets what came before.

    Args:
        pid: The worker.
        gpu: From `gpu.open_gpu()`.
        interval: Seconds between the deadlines of readings.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        pid: int,
        gpu: AnyGpu,
        interval: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pid = pid
        self._gpu = gpu
        self._interval = interval
        self._clock = clock
        self._stop = threading.Event()
        self._rss: list[int] = []
        self._readings: list[GpuReading] = []
        self._cost = 0.0
        self._begin = clock()
        self._end = self._begin
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)
        self._thread.start()

    def begin_rounds(self) -> None:
        """Forget the readings so far."""
        self._begin = self._clock()
        self._cost = 0.0
        self._rss = self._rss[-1:]
        self._readings = []

    def stop(self) -> None:
        """Stop reading; a second call does nothing."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._end = self._clock()

    def _watch(self) -> None:
        deadline = self._clock()
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._pid)
            while not self._stop.is_set():
                start = time.thread_time()
                self._rss.append(process.memory_info().rss)
                self._readings.append(self._gpu.read())
                self._cost += time.thread_time() - start
                deadline = max(deadline + self._interval, self._clock())
                self._stop.wait(max(0.0, deadline - self._clock()))

    @property
    def last_rss_bytes(self) -> int | None:
        """The latest reading of resident memory."""
        return self._rss[-1] if self._rss else None

    def usage(self) -> Usage:
        """Summarize the readings; call it after the end."""
        return Usage(
            readings=len(self._rss),
            watched_seconds=self._end - self._begin,
            watching_cpu_seconds=self._cost,
            peak_rss_bytes=max(self._rss, default=None),
            gpu_percent=_mean([r.utilization_percent for r in self._readings]),
            gpu_power_watts=_mean([r.power_watts for r in self._readings]),
            gpu_memory_bytes=max(
                (r.memory_bytes for r in self._readings if r.memory_bytes is not None),
                default=None,
            ),
        )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
