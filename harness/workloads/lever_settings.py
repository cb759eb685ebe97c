"""How levers are moved that a process reads at its start, and which ones this machine has."""

import ctypes.util
import platform
from pathlib import Path

from harness.records import Case
from harness.workloads import levers

_LIBRARIES = {"tcmalloc": ("tcmalloc_minimal", "tcmalloc"), "jemalloc": ("jemalloc",)}
_PACKAGES = {"tcmalloc": "libtcmalloc-minimal4", "jemalloc": "libjemalloc2"}
_KEEP = str(2**40)  # bytes: nothing is ever given back
_HUGE_PAGES_SINCE = (2, 35)  # of glibc, whose manual calls it glibc.malloc.hugetlb
_GPU_MALLOC = {
    "async": {"TF_GPU_ALLOCATOR": "cuda_malloc_async"},
    "preallocate": {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"},
    "expandable": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"},
}
# Instructions for bfloat16 as Linux names them: https://docs.kernel.org/arch/x86/cpuinfo.html
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def environment(case: Case) -> dict[str, str]:
    """What a worker's process must find in its environment at its start; empty for most cases."""
    found = levers.environment(case)
    if (onednn := case.setting("onednn")) and case.backend == "tensorflow":
        found["TF_ENABLE_ONEDNN_OPTS"] = "0" if onednn == "off" else "1"
    malloc = case.setting("malloc")
    if malloc == "keep":
        # mallopt(3): neither are blocks mapped on their own, nor is the heap's end given back.
        found |= {"MALLOC_MMAP_THRESHOLD_": _KEEP, "MALLOC_TRIM_THRESHOLD_": _KEEP}
    elif malloc == "hugepages":
        found["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    elif malloc is not None:
        found["LD_PRELOAD"] = _library(malloc) or ""
    if gpu_malloc := case.setting("gpu_malloc"):
        found |= _GPU_MALLOC[gpu_malloc]
    return found


def _library(malloc: str) -> str | None:
    return next(filter(None, map(ctypes.util.find_library, _LIBRARIES[malloc])), None)


def unavailable(text: str, case: Case) -> str | None:
    """Say why a lever cannot be tried on a case here; None when it can."""
    reason = levers.lacking(text, case)
    if reason is not None:
        return reason
    malloc = levers.pull(case, text).setting("malloc")
    if malloc in _LIBRARIES and _library(malloc) is None:
        return f"{malloc} is not installed: apt install {_PACKAGES[malloc]}"
    name, version = platform.libc_ver()
    if malloc in ("keep", "hugepages") and name != "glibc":
        return "a setting of glibc's allocator, which this system does not use"
    if malloc == "hugepages" and tuple(map(int, version.split("."))) < _HUGE_PAGES_SINCE:
        return f"glibc {version} cannot, 2.35 and later can"
    return None


def note(text: str, case: Case) -> str:
    """What there is to know of a lever on this machine; empty where there is nothing."""
    precision = levers.pull(case, text).precision
    if case.device != "cpu" or "bfloat16" not in precision or precision == case.precision:
        return ""
    if has := sorted(_BFLOAT16 & _cpu_flags()):
        return f"the CPU has instructions for bfloat16 ({', '.join(has)})"
    return "the CPU has no instructions for bfloat16"


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    flags = (line.split(":", 1)[1] for line in lines if line.startswith(("flags", "Features")))
    return set(next(flags, "").split())
