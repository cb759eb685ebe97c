"""What this process may use, and what it has used (Linux)."""

import contextlib
import os
import resource
from pathlib import Path

from harness.records.counters import Totals


def bind_threads(threads: int, cpus: list[int]) -> None:
    """Bind every library to the first CPUs, before a runtime starts its threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    with contextlib.suppress(OSError):  # the kernel then kills the worker before the parent
        Path("/proc/self/oom_score_adj").write_text("500")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus[:threads])


def limit_memory(most_bytes: int) -> None:
    """Let allocations beyond a size fail; memory that is reserved but unused does not count.

    See setrlimit(2): RLIMIT_DATA covers private writable mappings.
    """
    reserved = max(0, status_bytes("VmData") - status_bytes("VmRSS"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = most_bytes + reserved
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def read_counters() -> Totals:
    """This process's totals of the fields of `Counters` that it can know; see getrusage(2)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "involuntary_switches": usage.ru_nivcsw,
        "minor_faults": usage.ru_minflt,
        "major_faults": usage.ru_majflt,
    }


def high_water_bytes() -> int:
    """VmHWM; `ru_maxrss` would start at the size of the process that forked this one."""
    return status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def status_bytes(name: str) -> int:
    """One of the sizes in /proc/self/status (proc(5)); 0 if it is missing."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def reset_high_water() -> None:
    """Let VmHWM start again from the present size; see proc(5), clear_refs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
