"""Limits of the kernel's control groups for this process, and time lost to them (Linux).

Both versions are read, in the group of this process and in its ancestors, of which the strictest
counts: see cgroups(7).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NO_LIMIT = 2**60  # version 1 writes a number of that size where there is no limit


def memory_limit() -> int | None:
    """Return the memory limit in bytes; None for no limit."""
    return min((limit for limit, _ in _memory_limits()), default=None)


def memory_used() -> int | None:
    """Return the bytes used in the group with the limit; None if unknown."""
    strictest = memory_limit()
    for limit, used in _memory_limits():
        if limit == strictest:
            with contextlib.suppress(OSError, ValueError):
                return int(used.read_text())
    return None


def _memory_limits() -> Iterator[tuple[int, Path]]:
    """Yield each limit and the file that says how much is used in its group."""
    for controller, limit_name, used_name in (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for folder, text in _texts(controller, limit_name):
            if text.isdigit() and int(text) < _NO_LIMIT:
                yield int(text), folder / used_name


def cpu_quota() -> float | None:
    """Return the CPU quota, in CPUs; None for no limit."""
    quotas = []
    for _, text in _texts("", "cpu.max"):
        limit, _, period = text.partition(" ")
        if limit.isdigit() and period.isdigit():
            quotas.append(int(limit) / int(period))
    for folder, text in _texts("cpu", "cpu.cfs_quota_us"):
        with contextlib.suppress(OSError, ValueError):
            if int(text) > 0:
                quotas.append(int(text) / int((folder / "cpu.cfs_period_us").read_text()))
    return min(quotas, default=None)


def throttled_seconds() -> float | None:
    """Return how long the quota has stopped this group's processes; None if unknown."""
    for controller, name, unit in (("", "throttled_usec", 1e6), ("cpu", "throttled_time", 1e9)):
        for _, text in _texts(controller, "cpu.stat"):
            for line in text.splitlines():
                key, _, value = line.partition(" ")
                if key == name and value.isdigit():
                    return int(value) / unit
    return None


def _texts(controller: str, name: str) -> Iterator[tuple[Path, str]]:
    """Yield a file's text in this process's group and in its ancestors, the nearest first.

    The controller is one of version 1, or empty for version 2.
    """
    for folder in _folders(controller):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            yield folder, (folder / name).read_text().strip()


def _folders(controller: str) -> Iterator[Path]:
    root = _ROOT / controller
    path = _path(controller)
    # In a container the path may be the host's and not exist here; then the root is its own.
    while path not in {"", "/"} and (root / path.lstrip("/")).is_dir():
        yield root / path.lstrip("/")
        path = path.rpartition("/")[0]
    yield root


def _path(controller: str) -> str:
    """Return the group of this process in a hierarchy, from `/proc/self/cgroup`."""
    with contextlib.suppress(OSError):
        for line in _OWN.read_text().splitlines():
            _, controllers, path = (*line.split(":", 2), "", "")[:3]
            if path and controller in controllers.split(","):
                return path
    return ""
