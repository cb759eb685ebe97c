"""Hardware, operating system, libraries, limits."""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import resource
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

import psutil

from harness.measure.machine import gpu as gpus
from harness.measure.machine import starter
from harness.measure.machine.cgroup import cpu_quota, memory_limit, memory_used
from harness.measure.machine.gpu import AnyGpu
from harness.records import Machine, Withheld
from harness.worker.backends import BACKENDS

_LIBRARIES = (
    "keras",
    *(library for backend in BACKENDS for library in backend.libraries),
    "numpy",
    "pytest-benchmark",
    "training-harness",
)
_GIT_SECONDS = 10.0
_CHILDREN = ("harness.worker.forkserver", "harness.worker.serve")


def describe(gpu: AnyGpu) -> Machine:
    """Describe this machine; the id changes only with CPU, GPU or operating system."""
    cpu = cpu_name()
    identity = f"{cpu}|{os.cpu_count()}|{gpu.name}|{platform.system()}"
    return Machine(
        id=hashlib.sha256(identity.encode()).hexdigest()[:8],
        cpu=cpu,
        cpus=os.cpu_count() or 1,
        usable_cpus=len(usable_cpus()),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=memory_limit(),
        os=platform.platform(),
        python=platform.python_version(),
        gpu=gpu.name,
        gpu_reason=gpu.reason,
        gpu_facts=gpu.facts,
        libraries=versions(),
        commit=commit(),
        withheld=withheld(),
    )


def withheld() -> tuple[Withheld, ...]:
    """Say what the starter of this process does not let it use."""
    cpus = len(usable_cpus()), os.cpu_count() or 1
    memory = memory_limit(), psutil.virtual_memory().total
    return tuple(starter.withheld(cpus, memory, (gpus.count(), gpus.installed())))


def commit() -> str | None:
    """Name the commit of the current folder's repository, and whether tracked files differ."""

    def git(*arguments: str) -> str | None:
        command = ["git", *arguments]  # the user's own
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
            )
            return done.stdout.strip()
        return None

    name = git("rev-parse", "--short=10", "HEAD")
    if not name:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{name} with changes" if changed else name


def usable_cpus() -> list[int]:
    """List the CPUs that this process may use: affinity, limited by the cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
    else:
        allowed = list(range(os.cpu_count() or 1))
    quota = cpu_quota()
    return allowed if quota is None else allowed[: max(1, int(quota))]


def oom_kills() -> int | None:
    """Count the processes that the kernel has killed for memory; None if unknown.

    See proc(5), /proc/vmstat: `oom_kill`.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def shell_limits() -> dict[str, int]:
    """Return the hard limits of a process's memory in bytes, by the `ulimit` that sets them."""
    kinds = {"ulimit -d": resource.RLIMIT_DATA, "ulimit -v": resource.RLIMIT_AS}
    hard = {name: resource.getrlimit(kind)[1] for name, kind in kinds.items()}
    return {name: limit for name, limit in hard.items() if limit != resource.RLIM_INFINITY}


def memory_available() -> int:
    """Return the memory for new processes, in bytes.

    Limited by the cgroup, by the shell and by Slurm.
    """
    limits = [*shell_limits().values(), *filter(None, [starter.memory_limit()])]
    available = min([psutil.virtual_memory().available, *limits])
    limit = memory_limit()
    return available if limit is None else min(available, max(0, limit - (memory_used() or 0)))


def memory_in_all() -> int:
    """Return the memory of the machine or its cgroup, in bytes: the smaller."""
    total = psutil.virtual_memory().total
    return min(total, memory_limit() or total)


def governor() -> str | None:
    """Name the governor of the CPU's frequency; None if unknown."""
    with contextlib.suppress(OSError):
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text().strip()
    return None


def busy_processes(seconds: float, sleep: Callable[[float], None]) -> list[tuple[str, float]]:
    """List other processes and the CPUs that each kept busy, the busiest first."""
    before = _cpu_seconds()
    sleep(seconds)
    busy = [
        (name, (used - before[pid][1]) / seconds)
        for pid, (name, used) in _cpu_seconds().items()
        if pid in before and pid != os.getpid()
    ]
    return sorted(busy, key=lambda one: -one[1])


def other_runs(partners: Collection[int] = ()) -> int:
    """Count other runs of this harness on this machine, without those of the partners.

    The last argument of a run's server and workers is the id of the process that measures; the
    partners are such ids of the other hosts of a job.
    """
    found, ours = set(), {str(pid) for pid in (os.getpid(), *partners)}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(module in words for module in _CHILDREN) and words[-1] not in ours:
            found.add(words[-1])
    return len(found)


def _cpu_seconds() -> dict[int, tuple[str, float]]:
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None:  # None without permission
            name = f"{process.info['name']} ({process.pid})"
            found[process.pid] = (name, times.user + times.system)
    return found


def cpu_name() -> str:
    """Return the kernel's name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def versions() -> dict[str, str]:
    """Return the versions of the installed libraries that a measurement depends on."""
    found = {}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
