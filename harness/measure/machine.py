"""Hardware, operating system, libraries, limits."""

import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from harness.measure.gpu import AnyGpu
from harness.records import Machine

_LIBRARIES = (
    "tensorflow",
    "keras",
    "numpy",
    "jax",
    "jaxlib",
    "torch",
    "pytest-benchmark",
    "training-harness",
)
_CGROUP = Path("/sys/fs/cgroup")


def describe(gpu: AnyGpu) -> Machine:
    """Describe this machine; its id is stable as long as CPU, GPU and OS are."""
    cpu = _cpu_name()
    identity = f"{cpu}|{os.cpu_count()}|{gpu.name}|{platform.system()}"
    return Machine(
        id=hashlib.sha256(identity.encode()).hexdigest()[:8],
        cpu=cpu,
        cpus=os.cpu_count() or 1,
        usable_cpus=len(usable_cpus()),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=_memory_limit(),
        os=platform.platform(),
        python=platform.python_version(),
        gpu=gpu.name,
        gpu_reason=gpu.reason,
        gpu_facts=gpu.facts,
        libraries=_versions(),
    )


def usable_cpus() -> list[int]:
    """List the CPUs that this process may use: affinity, cut to the cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
    else:
        allowed = list(range(os.cpu_count() or 1))
    quota = _cpu_quota()
    return allowed if quota is None else allowed[: max(1, int(quota))]


def oom_kills() -> int | None:
    """Count the processes that the kernel has killed for memory; None where it does not say.

    See proc(5), /proc/vmstat: `oom_kill`.
    """
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _cpu_quota() -> float | None:
    try:
        limit, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) / int(period)


def _memory_limit() -> int | None:
    try:
        text = (_CGROUP / "memory.max").read_text().strip()
    except OSError:
        return None
    return None if text == "max" else int(text)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
