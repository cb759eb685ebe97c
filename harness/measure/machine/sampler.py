"""Readings from outside the worker: the machine's counters and the worker's memory.

The machine's totals are read before and after each round, while nothing is timed. A thread of the
parent also reads the worker's memory four times per second, and the GPU that it trains on. The
thread measures its own CPU time. The processes on a GPU are listed before and after the rounds
only: the driver takes milliseconds for that, and holds a lock.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from harness.measure.machine.cgroup import throttled_seconds
from harness.measure.machine.gpu import AnyGpu
from harness.records import GpuReading, GpuTrace, GpuUsage, Usage
from harness.records.counters import Totals, change

INTERVAL_SECONDS = 0.25


def read_machine() -> Totals:
    """The machine's totals since boot of the fields of `Counters` that it tells."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system
    busy += getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0)
    return {
        "other_cpu_seconds": busy,  # of all processes: `disturbance` takes the worker's away
        "steal_seconds": getattr(times, "steal", None),
        "throttled_seconds": throttled_seconds(),
    }


def disturbance(before: Totals, after: Totals, own_cpu_seconds: float) -> dict[str, float | None]:
    """Compute the machine's fields of `Counters` from the totals around a piece of work."""
    found = change(before, after)
    busy = found["other_cpu_seconds"] or 0.0
    return {**found, "other_cpu_seconds": max(0.0, busy - own_cpu_seconds)}


class Sampler:
    """Reads a worker's memory, and the GPU that the worker trains on, until `stop`.

    It starts with the worker, so that the last memory reading of a killed worker is known. On the
    CPU the GPU is None.
    """

    def __init__(self, pid: int, gpu: AnyGpu | None) -> None:
        self._pid = pid
        self._gpu = None if gpu is None else GpuWatch(pid, gpu, time.monotonic)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._rss: list[int] = []
        self._cost = 0.0
        self._begin = self._end = 0.0
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin to read; an idle GPU is read first."""
        if self._gpu is not None:
            self._gpu.read_idle()
        self._begin = self._end = time.monotonic()
        self._thread.start()

    def begin_rounds(self) -> None:
        """Discard the readings so far."""
        with self._lock:
            self._begin = time.monotonic()
            self._cost = 0.0
            self._rss = self._rss[-1:]
            if self._gpu is not None:
                self._gpu.begin_rounds()

    def stop(self) -> None:
        """Stop reading; a second call does nothing."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._end = time.monotonic()
            if self._gpu is not None:
                self._gpu.list_processes()

    def _watch(self) -> None:
        deadline = time.monotonic()
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self._pid)
            while True:
                with self._lock:
                    start = time.thread_time()
                    self._rss.append(process.memory_info().rss)
                    if self._gpu is not None:
                        self._gpu.read()
                    self._cost += time.thread_time() - start
                deadline = max(deadline + INTERVAL_SECONDS, time.monotonic())
                if self._stop.wait(max(0.0, deadline - time.monotonic())):
                    break

    @property
    def last_rss_bytes(self) -> int | None:
        """The latest reading of resident memory."""
        return self._rss[-1] if self._rss else None

    def own_bytes(self) -> int:
        """Return what the worker holds alone, not shared with its server; 0 if it has ended."""
        try:
            return int(psutil.Process(self._pid).memory_full_info().uss)
        except psutil.Error:
            return 0

    def usage(self) -> Usage:
        """Summarize the readings, after `stop`."""
        return Usage(
            readings=len(self._rss),
            watched_seconds=self._end - self._begin,
            watching_cpu_seconds=self._cost,
            peak_rss_bytes=max(self._rss, default=None),
            gpu=None if self._gpu is None else self._gpu.usage(),
        )


@dataclass(eq=False)
class GpuWatch:
    """Readings of a GPU beside the worker of that process id; the clock gives monotonic seconds."""

    _pid: int
    _gpu: AnyGpu
    _clock: Callable[[], float]
    _idle_memory: int | None = None
    _others_before: frozenset[int] = frozenset()
    _begin: float = 0.0
    _times: list[float] = field(default_factory=list)
    _readings: list[GpuReading] = field(default_factory=list)
    _foreign: list[int] = field(default_factory=list)

    def read_idle(self) -> None:
        """Read what others use of the GPU before the worker does."""
        self._idle_memory = self._gpu.read().memory_bytes
        self._others_before = self._gpu.processes() or frozenset()
        self._begin = self._clock()

    def begin_rounds(self) -> None:
        """Discard the readings so far."""
        self._times, self._readings, self._foreign = [], [], []
        self.list_processes()
        self._begin = self._clock()

    def list_processes(self) -> None:
        """Count the processes on the GPU that are not the worker's, while nothing is timed."""
        processes = self._gpu.processes()
        if processes is not None:
            self._foreign.append(self._count_foreign(processes))

    def read(self) -> None:
        """Read the GPU now."""
        self._times.append(self._clock() - self._begin)
        self._readings.append(self._gpu.read())

    def _count_foreign(self, processes: frozenset[int]) -> int:
        """Count the processes that are not the worker's.

        In a container NVML lists the host's process ids, which match none here; a process that
        came after the worker began then counts as the worker.
        """
        if self._pid in processes:
            return len(processes) - 1
        came = processes - self._others_before
        return len(processes) - min(1, len(came))

    def usage(self) -> GpuUsage:
        """Return all readings since the rounds began."""
        names = [f.name for f in dataclasses.fields(GpuReading)]
        columns = {n: tuple(getattr(r, n) for r in self._readings) for n in names}
        return GpuUsage(
            trace=GpuTrace(tuple(self._times), **columns),
            idle_memory_bytes=self._idle_memory,
            foreign_processes=max(self._foreign, default=None),
            refused=dict(self._gpu.refused),
        )
